#!/usr/bin/env bash
# Prints --demo when no provider of the catalogue has a credential in the environment.
set -euo pipefail
cd "$(dirname "$0")/.."

# The variables are <NAME>_API_KEY, or those that the catalogue names itself.
variables=$(
    sed -nE 's/^name *= *"([^"]+)".*/\1/p' config/providers.toml | tr 'a-z' 'A-Z' | tr -c 'A-Z0-9\n' '_' | sed 's/$/_API_KEY/'
    { grep -E '^key_variables' config/providers.toml || true; } | grep -oE '[A-Z][A-Z0-9_]+' || true
)
for variable in $variables; do
    if [ -n "${!variable:-}" ]; then
        exit 0
    fi
done
echo --demo
