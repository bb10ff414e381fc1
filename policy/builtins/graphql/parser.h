// GraphQL documents as the values that OPA's graphql builtins return: the syntax tree as an object,
// without positions, and without members that are null or empty lists.
#pragma once

#include <string_view>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy::graphql {

// kFailedPrecondition: "Expected Name, found { in GraphQL string at location 1:16". Nesting is
// bounded.
[[nodiscard]] Result<Value> parse_query(std::string_view text);
[[nodiscard]] Result<Value> parse_schema(std::string_view text);

// "Kind" of a value in the tree.
enum ValueKind : std::uint8_t {
  kVariable,
  kIntValue,
  kFloatValue,
  kStringValue,
  kBlockValue,
  kBooleanValue,
  kNullValue,
  kEnumValue,
  kListValue,
  kObjectValue
};

}  // namespace coffer::policy::graphql
