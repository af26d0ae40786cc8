//! Why a token was refused. The client never learns which; logs, metrics and `explain` do.

/// Every cause is one answer to the client: 401 `invalid_token`, except `UnknownKey`, which first asks for fresh keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than 16 KiB")]
    TooLong,
    #[error("not a compact JWS of three base64url parts")]
    Malformed,
    #[error("the header is not strict JSON, or holds a parameter that is never accepted")]
    Header,
    #[error("`alg` is not the configured algorithm")]
    Algorithm,
    #[error("`typ` is not that of an access token, or not `at+jwt` where that is required")]
    Type,
    #[error("no known key fits `kid` and `alg`")]
    UnknownKey,
    #[error("the signature does not verify")]
    Signature,
    #[error("the payload is not strict JSON or a claim has the wrong type")]
    Payload,
    #[error("`iss` is not the configured issuer")]
    Issuer,
    #[error("`aud` does not hold the configured audience")]
    Audience,
    #[error("expired, without `exp`, or with one more than ten years ahead")]
    Expired,
    #[error("not valid yet")]
    NotYetValid,
    #[error("bound to a key (`cnf`), which this version cannot check")]
    Confirmation,
    #[error("lives longer than the configured lifetime, or does not say since when (`iat`)")]
    Lifetime,
    #[error("`org_id` is not one of the configured organizations")]
    Organization,
}

impl TokenError {
    /// A bounded label for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Header => "header",
            Self::Algorithm => "algorithm",
            Self::Type => "type",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Payload => "payload",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Confirmation => "confirmation",
            Self::Lifetime => "lifetime",
            Self::Organization => "organization",
        }
    }
}
