# Sourced: starts and ends a single-machine system (backend and witness) in a folder.
#   start_system FOLDER PORT HEALTH_PORT WITNESS_PORT      stop_system FOLDER
# Leaves in FOLDER: data/ (with deployment.json), witness/, backend.toml, *.log, *.pid, first-start (what the first start printed).

start_system() {
  local folder=$1 port=$2 health=$3 witness_port=$4 programs=${PROGRAMS:-target/debug}
  mkdir -p "$folder"
  local witness_key
  witness_key=$("$programs/ticrypt-witness" key --data "$folder/witness" --name localhost/witness-1)
  cat >"$folder/backend.toml" <<TOML
[server]
listen = "127.0.0.1:$port"
display_name = "ticrypt on this machine"

[registration]
mode = "token"

[health]
listen = "127.0.0.1:$health"

[log]
quorum = 1

[[log.witnesses]]
url = "http://127.0.0.1:$witness_port"
key = "$witness_key"
TOML
  if [ ! -e "$folder/data/deployment.json" ]; then
    "$programs/ticrypt-backend" --config "$folder/backend.toml" --data "$folder/data" deployment >"$folder/first-start" 2>"$folder/backend.log"
  fi
  # The witness countersigns the logs it is told of, by the keys in the deployment file.
  sed -nE 's/^ *"(audit|key)_log_key": "([^+]+)(\+[^"]+)",?$/[[log]]\norigin = "\2"\nkey = "\2\3"\n/p' "$folder/data/deployment.json" >"$folder/witness/logs.toml"
  "$programs/ticrypt-witness" --data "$folder/witness" --listen "127.0.0.1:$witness_port" >>"$folder/witness.log" 2>&1 &
  echo $! >"$folder/witness.pid"
  # A system to try things with may lie unused for weeks.
  "$programs/ticrypt-backend" --config "$folder/backend.toml" --data "$folder/data" run --accept-clock >>"$folder/backend.log" 2>&1 &
  echo $! >"$folder/backend.pid"
  local waited=0
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$(cat "$folder/backend.pid")" 2>/dev/null || { tail -n 20 "$folder/backend.log"; echo "the backend ended; its log is $folder/backend.log" >&2; return 1; }
    waited=$((waited + 1))
    [ $waited -lt 300 ] || { echo "the backend does not answer; its log is $folder/backend.log" >&2; return 1; }
    sleep 0.1
  done
}

stop_system() {
  local folder=$1 what pid
  for what in backend witness; do
    [ -e "$folder/$what.pid" ] || continue
    pid=$(cat "$folder/$what.pid")
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    rm -f "$folder/$what.pid"
  done
}

# A field of what the first start printed: `one-time code` or `fingerprint`.
first_start() {
  sed -nE "s/^ *$2 +(.*[^ ]) *$/\1/p" "$1/first-start" | head -n 1
}
