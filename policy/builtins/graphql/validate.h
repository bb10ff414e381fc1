// Whether a query may be run against a schema (section 5).
#pragma once

#include "base/error.h"
#include "policy/builtins/graphql/schema.h"

namespace coffer::policy::graphql {

// kFailedPrecondition names the first rule that is broken.
[[nodiscard]] Status validate_query(const Schema& schema, const Value& document);

}  // namespace coffer::policy::graphql
