// JSON Patch (RFC 6902) on Rego values: for the agent's state and the json.patch builtin.
#pragma once

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy {

// Applies `operations`, an array of {"op", "path", "value" | "from"} objects, in order. All or
// nothing: on an error nothing has changed. What a change does not touch is shared with `document`.
//
// Paths are JSON pointers (RFC 6901) or, as OPA has it, arrays of keys; a step into a set is the
// element itself. Errors are kInvalidArgument and name the operation's index, its op and its path:
// "apply patch operation 2 (remove /pstate/x): no such key".
[[nodiscard]] Result<Value> apply_patch(const Value& document, const Value& operations);

}  // namespace coffer::policy
