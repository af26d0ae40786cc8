#!/usr/bin/env bash
# Runs the corpus and the Wycheproof vectors and prints what came of them as one table. Fails with any of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
output=$(cargo test --locked --quiet --lib wycheproof && cargo test --locked --quiet --test tokens --test verdicts) || {
  echo "$output"
  exit 1
}
printf '%-52s%10s%12s%8s%8s%12s\n' verdicts 'as listed' exceptions wrong panics 'bytes out'
sed -n 's/^verdicts|//p' <<<"$output" | sort | awk -F'|' '
  { printf "%-52s%10d%12d%8d%8d%12s\n", $1, $2, $3, $4, $5, $6; for (i = 2; i <= 6; i++) sum[i] += $i }
  END {
    printf "%-52s%10d%12d%8d%8d%12d\n", "all", sum[2], sum[3], sum[4], sum[5], sum[6]
    if (NR < 9) { print "rows are missing"; exit 1 }
    printf "wrong verdicts %d, panics %d, bytes forwarded of refused requests %d\n", sum[4], sum[5], sum[6]
    exit sum[4] + sum[5] + sum[6] > 0
  }'
