# shellcheck shell=bash disable=SC2154
# tools/steps.sh: what ./setup, ./quickstart and ./check share: one line a step, and a failure that
# says which step, why, and what to do.  Sourced by bash scripts that have set `program`, `root`, `log`.
#
#     begin "name" "hint if it fails"; commands...; end "what came of it"
#
# Between begin and end everything printed goes to $log; a command that fails ends the program.

step='' why='' hint=''
mkdir -p "$(dirname "$log")"
exec 3>&1 4>&2

begin()
{
    step=$1 hint=${2:-} why='' started=$SECONDS
    printf '%s ... ' "$step" >&3
    exec >>"$log" 2>&1
    printf '\n=== %s: %s\n' "$program" "$step"
}

end()
{
    local took=$((SECONDS - started))
    exec >&3 2>&4
    if ((took > 2)); then
        printf '%s (%d s)\n' "$1" "$took"
    else
        printf '%s\n' "$1"
    fi
    step=''
}

# Inside a step: a word on its line, for what takes long.
progress()
{
    printf '%s ... ' "$1" >&3
}

fail()
{
    why=$1
    hint=${2:-$hint}
    exit 1
}

# For EXIT traps; $1 is the exit status.
report()
{
    (($1 == 0)) && return
    exec >&3 2>&4
    [[ $step ]] || return 0
    printf 'failed\n'
    printf '%s: step "%s" failed: %s\n' "$program" "$step" "${why:-a command ended with status $1}" >&2
    printf '%s: what to do: %s\n' "$program" "${hint:-look at $log}" >&2
    printf '%s: the last lines of %s:\n' "$program" "$log" >&2
    tail -n 12 "$log" | cut -c 1-200 | sed 's/^/    /' >&2
}
