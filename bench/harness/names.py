"""The names that requests, tokens, configurations and manifests must agree on."""

DOMAIN = "dev-abc123xyz.eu.auth0.com"
ISSUER = f"https://{DOMAIN}/"
AUDIENCE = "https://api.example.com/orders"
KEY_ID = "qD3xJ5vVhJ0q2mXz8nYfK"

PROTECTED_HOST = "api.example.com"  # every rule wants a token
PUBLIC_HOST = "public.example.com"  # where the target can, no rule does

PATH = "/orders/v1/items/42"
BODY = b'{"id":42,"status":"ok","items":[1,2,3,4,5,6,7,8],"note":"a small JSON body of one hundred and twenty-eight bytes for bench"}    '


def route_path(index: int) -> str:
    """A request below the route with this number."""
    return f"{route_prefix(index)}/items/42"


def route_prefix(index: int) -> str:
    return f"/routes/{index}"


def issuer_host(index: int) -> str:
    """A host whose tokens come from the issuer with this number."""
    return f"issuer-{index}.example.com"
