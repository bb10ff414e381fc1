package t

import rego.v1

default allow := false

allow if {
	some i, c in input.containers
	every k, v in c.env { startswith(v, "A"); k >= 0 }
	not denied(c)
	i < 3
}

denied(c) if c.privileged
denied(c) if { count(c.env) > 10 } else := false if c.x == 1

names contains c.name if some c in input.containers
by[name] := c.env if { some c in input.containers; name := c.name }
deep[x].y[z] := w if { x := "a"; z := input.n; w := {a: b | some a, b in input.containers} }
m := q if { q := names with input as {"containers": [{"name": "z"}]} }
t := $"n={input.n} {input.none}"
arith := [1 + 2 * 3, 7 % 4, 1 / 3, {1, 2} | {3}, {1, 2} - {2}, 9223372036854775807 + 1]
u := [a, b] if { [a, [b, 1]] = [input.n, ["x", 1]] }
w := [p | walk(input, [p, "A"])]
---
{"n": 5, "containers": [{"name": "a", "env": ["A", "AB"], "privileged": false}, {"name": "b", "env": []}]}
