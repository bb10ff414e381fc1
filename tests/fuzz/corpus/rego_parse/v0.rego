package t
p[x] { x = input.a[_]; x > 1 }
q[k] = v { v = input.a[k] } 
r = 1 { input.a[0] = 1 } else = 2 { true }
f(x) = y { y = x * 2 } { y = 2 * x }
s = f(3)
not_bound { not input.zzz[_] = 3 }
---
{"a": [1, 2, 3]}
