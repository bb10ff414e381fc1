# Messages of the scripts, sourced by each: progress on stderr, so that stdout stays the answer.

note() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}
