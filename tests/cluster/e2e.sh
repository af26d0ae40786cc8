# Sourced by `e2e`: counting, asking and looking.
# shellcheck shell=bash disable=SC2154

passed=0 failed=0 number=0 status=0 traffic_pid=

# --- counting --------------------------------------------------------------------------------------------------------

say() { echo "    $*"; }
step() { number=$((number + 1)); printf '\n%2d. %s\n' "$number" "$*"; }
pass() { passed=$((passed + 1)); echo "    ok      $*"; }
fail() { failed=$((failed + 1)); echo "    FAILED  $*"; }

check() { # what expected actual
  if [ "$2" = "$3" ]; then pass "$1: $3"; else fail "$1: expected <$2>, got <$3>"; fi
}

check_below() { # what limit actual
  if [ "$3" -lt "$2" ]; then pass "$1: $3 (below $2)"; else fail "$1: $3, must be below $2"; fi
}

die() { fail "$*"; exit 1; }

# Whatever happened, nothing of ours stays behind and the last line counts.
cleanup() {
  local code=$?
  [ -z "$traffic_pid" ] || kill "$traffic_pid" 2>/dev/null || true
  if [ "$code" != 0 ] && [ "$failed" = 0 ]; then fail "step $number ended early (exit code $code)"; fi
  if [ "$failed" != 0 ]; then diagnose; fi
  if own_cluster && [ -z "${KEEP:-}" ]; then "$CLUSTER" down; fi
  rm -rf "$WORK"
  echo
  echo "$passed passed, $failed failed"
  if [ "$failed" != 0 ]; then exit 1; fi
}

diagnose() {
  echo
  kubectl get pods -A -o wide || return 0
  kubectl get pe -A -o wide || true
  kubectl get events -A --field-selector type=Warning | tail -20 || true
  logs | tail -40 || true
}

# --- waiting ---------------------------------------------------------------------------------------------------------

within() { # seconds command...
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.1
  done
}

until_gone() { # namespace selector how-many-stay
  within 150 has_pods "$@" || fail "old pods of $2 did not go"
}

has_pods() { [ "$(kubectl -n "$1" get pods -l "$2" -o name | wc -l)" = "$3" ]; }

milliseconds() { date +%s%3N; }
mib() { awk -v bytes="$1" 'BEGIN {printf "%.1f", bytes / 1048576}'; }

# --- the cluster -----------------------------------------------------------------------------------------------------

own_cluster() { [ -z "${LOAD_IMAGE:-}" ]; }

inside() { if own_cluster; then "$CLUSTER" run "$@"; else "$@"; fi; }
kubectl() { inside kubectl "$@"; }
helm() { inside helm "$@"; }

fill() { # manifest -> it, with the image and the issuer's CA (indented as where it stands) put in
  local text; text=$(<"$HERE/manifests/$1")
  text=${text//@IMAGE@/$IMAGE}
  if [ -f "$WORK/ca.pem" ]; then text=${text//@CA@/$(sed '2,$s/^/      /' "$WORK/ca.pem")}; fi
  echo "$text"
}

# A dynamic binary brings its loader and libraries; a static one, as released, brings none.
libraries_of() { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | awk '{print $1 ":" $1}' || true; }

pods() { kubectl -n portcullis-system get pods -l app.kubernetes.io/name=portcullis --field-selector status.phase=Running -o jsonpath='{.items[*].metadata.name}'; }
logs() { kubectl -n portcullis-system logs -l app.kubernetes.io/name=portcullis --tail=-1 --prefix=false; }
can_i() { local user=$1; shift; kubectl auth can-i "$@" --as "$user" -n shop 2>/dev/null || true; }

pid_of() { # pod -> the process on this host: the kubelet names the cgroup after the pod's uid
  local uid; uid=$(kubectl -n portcullis-system get pod "$1" -o jsonpath='{.metadata.uid}')
  local cgroup
  for cgroup in $(grep -l "$uid" /proc/[0-9]*/cgroup 2>/dev/null); do
    local pid=${cgroup#/proc/}; pid=${pid%/cgroup}
    if [ "$(readlink "/proc/$pid/exe")" = /portcullis ]; then echo "$pid"; return; fi
  done
  return 1
}

# --- asking ----------------------------------------------------------------------------------------------------------

ask() { # path [curl arguments] -> $status, header NAME, body
  local path=$1; shift
  status=$(inside curl -sS --max-time 10 -D "$WORK/head" -o "$WORK/body" -w '%{http_code}' "$@" "http://$node:30080$path") || status="no answer"
}

answers() { local expected=$1; shift; ask "$@"; [ "$status" = "$expected" ]; }
header() { tr -d '\r' <"$WORK/head" | awk -F': ' -v name="$1" 'tolower($1) == name {print substr($0, length(name) + 3)}'; }
body() { cat "$WORK/body"; }

issuer_ca() {
  kubectl -n identity logs deployment/tenant | sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' >"$WORK/ca.pem"
  grep -q END "$WORK/ca.pem"
}

fetch_token() { # -> $token
  local grant="{\"client_id\":\"demo\",\"client_secret\":\"demo-secret\",\"audience\":\"$AUDIENCE\",\"grant_type\":\"client_credentials\"}"
  inside curl -sS --fail --max-time 10 --cacert "$WORK/ca.pem" --connect-to "$ISSUER:443:$node:30443" \
    --header 'content-type: application/json' --data "$grant" "https://$ISSUER/oauth/token" >"$WORK/grant" || return 1
  token=$(sed -n 's/.*"access_token": *"\([^"]*\)".*/\1/p' "$WORK/grant")
  [ -n "$token" ]
}

# --- traffic ---------------------------------------------------------------------------------------------------------

# Runs the command under steady requests through the node port; only right answers pass. Connections may fail within so many seconds.
under_traffic() { # tolerated-seconds command...
  local tolerated=$1; shift
  local inside=(); if own_cluster; then inside=("$CLUSTER" run); fi # no function here: the signal below is for the program itself
  "${inside[@]}" "$HERE/traffic" "http://$node:30080/api" --header "Host: shop.example.com" --header "Authorization: Bearer $token" \
    --tolerate "$tolerated" >"$WORK/traffic" 2>&1 &
  traffic_pid=$!
  sleep 2
  "$@"
  sleep 2
  kill "$traffic_pid"
  local well=0; wait "$traffic_pid" || well=$?
  traffic_pid=
  if [ "$well" = 0 ]; then pass "traffic: $(cat "$WORK/traffic")"; else fail "traffic: $(cat "$WORK/traffic")"; fi
}

# --- documentation ---------------------------------------------------------------------------------------------------

transcript() {
  cat <<'T'
# What kubectl shows

Printed by a real cluster: the end-to-end run writes this page (`make kubectl-docs`).

T
  local line
  while read -r line; do
    printf '## %s\n\n```console\n$ %s\n%s\n```\n\n' "${line%%|*}" "${line#*|}" "$(${line#*|})"
  done <<'T'
Every endpoint of the cluster|kubectl get pe -A
With more columns|kubectl get pe -A -o wide
One in full, with its conditions and events|kubectl describe pe messages -n shop
What a field means|kubectl explain pe.spec.auth0
T
}
