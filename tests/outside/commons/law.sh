#!/usr/bin/env bash
# The law of places is written twice: in Rust, and as the script that the server runs. A hundred thousand generated
# histories, with lost, foreign and absurd numbers and clocks that jump, must have the same answers from both, on
# Redis and on Valkey.
set -euo pipefail
source "$(dirname "$0")/../support/common.sh"
source tests/outside/support/commons.sh

commons_tools
for program in "$redis" "$valkey"; do
    server "$program"
    checked "$(basename "$program")" law "${HISTORIES:-100000}"
done
