#!/usr/bin/env bash
# make run: a single-machine system under ./.run. A second call says that it runs; `make stop` ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/system.sh
folder=.run

if [ "${1:-}" = stop ]; then
  stop_system "$folder"
  echo "stopped; data stays in $folder"
  exit 0
fi

echo "building (some minutes the first time)"
cargo build --quiet --locked --workspace --bins
mkdir -p "$folder/bin"
ln -sf "$PWD/target/debug/ticrypt" "$folder/bin/ticrypt"

if [ -e "$folder/backend.pid" ] && kill -0 "$(cat "$folder/backend.pid")" 2>/dev/null; then
  echo "already running (make stop ends it)"
else
  start_system "$folder" "${PORT:-8443}" "${HEALTH_PORT:-8480}" "${WITNESS_PORT:-8481}"
fi

cat <<TXT

ticrypt runs on this machine; everything is kept under ./$folder
  server            https://127.0.0.1:${PORT:-8443}
  deployment file   $folder/data/deployment.json
  fingerprint       $(first_start "$folder" fingerprint)
  one-time code     $(first_start "$folder" 'one-time code')   (makes the first super-admin; good once)

Next, on the "device" of the first administrator:
  export PATH=\$PWD/$folder/bin:\$PATH TICRYPT_HOME=\$PWD/$folder/admin
  ticrypt deployment import $folder/data/deployment.json
  ticrypt key new admin
  ticrypt register --code '$(first_start "$folder" 'one-time code')'
  ticrypt login
README.md goes on from there to a shared file. make stop ends the system.
TXT
