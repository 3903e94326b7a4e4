#!/usr/bin/env bash
# make run: a single-machine system under ./.run. A second call says that it runs; `make stop` ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/system.sh
folder=.run

if [ "${1:-}" = stop ]; then
  if [ -e "$folder/connect.pid" ]; then
    kill "$(cat "$folder/connect.pid")" 2>/dev/null || true
    rm -f "$folder/connect.pid"
  fi
  stop_system "$folder"
  echo "stopped; data stays in $folder"
  exit 0
fi

echo "building (some minutes the first time)"
cargo build --quiet --locked --workspace --bins
mkdir -p "$folder/bin"
for program in ticrypt ticrypt-connect; do ln -sf "$PWD/target/debug/$program" "$folder/bin/$program"; done

if [ -e "$folder/backend.pid" ] && kill -0 "$(cat "$folder/backend.pid")" 2>/dev/null; then
  echo "already running (make stop ends it)"
else
  start_system "$folder" "${PORT:-8443}" "${HEALTH_PORT:-8480}" "${WITNESS_PORT:-8481}"
fi

# The page of the first person at this machine. A second start of connect asks the first one for a new link.
home=$folder/you
mkdir -p "$home" && chmod 700 "$home"
if [ ! -e "$home/default" ]; then
  # The deployment file was made on this very machine a moment ago, and its fingerprint printed: there is nobody to compare it with.
  target/debug/ticrypt --home "$home" deployment import "$folder/data/deployment.json" --fingerprint "$(first_start "$folder" fingerprint | tr -d ' ')" >/dev/null
fi
if ! { [ -e "$folder/connect.pid" ] && kill -0 "$(cat "$folder/connect.pid")" 2>/dev/null; }; then
  target/debug/ticrypt-connect --home "$home" --port "${CONNECT_PORT:-0}" >"$folder/connect.log" 2>&1 &
  echo $! >"$folder/connect.pid"
  waited=0
  until [ -S "$home/connect/connect.sock" ]; do
    waited=$((waited + 1))
    [ $waited -lt 100 ] || { cat "$folder/connect.log"; echo "ticrypt-connect does not answer; its log is $folder/connect.log" >&2; exit 1; }
    sleep 0.1
  done
fi
link=$(target/debug/ticrypt-connect --home "$home" --json | sed -E 's/.*"link":"([^"]+)".*/\1/')

cat <<TXT

ticrypt runs on this machine; everything is kept under ./$folder
  server            https://127.0.0.1:${PORT:-8443}
  deployment file   $folder/data/deployment.json
  fingerprint       $(first_start "$folder" fingerprint)
  one-time code     $(first_start "$folder" 'one-time code')   (makes the first super-admin; good once)

Open this in a browser on this machine; it lets one browser in, once (make run prints another):

  $link

Create an account there with the one-time code. Others on this machine start a page of their own:
  $folder/bin/ticrypt-connect --home $folder/NAME
By command line instead: see README.md. make stop ends the system.
TXT
