#!/bin/sh
# Writes .env: .env.example with a new value for each secret that is Tokenmill's own.
set -eu
cd "$(dirname "$0")"
if [ -e .env ]; then
    echo "docker/.env is there already; it stays as it is." >&2
    exit 1
fi
umask 077
while IFS= read -r line; do
    case "$line" in
    *_PASSWORD=) value=$(openssl rand -hex 24) ;;
    TOKENMILL_ENCRYPTION_KEYS=) value=$(openssl rand -base64 32 | tr '+/' '-_') ;;
    TOKENMILL_RECEIPT_KEY=) value="\"$(openssl genpkey -algorithm ed25519)\"" ;;
    *) value= ;;
    esac
    printf '%s%s\n' "$line" "$value"
done <.env.example >.env.new
mv .env.new .env
echo "Written: docker/.env. Keep a copy of it where the backups are."
