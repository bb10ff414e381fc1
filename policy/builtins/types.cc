// Types and conversions between them.
#include <cctype>
#include <string>

#include "policy/builtins/registry.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

using Args = std::span<const Value>;

template <Type kType>
Result<Value> is_type(BuiltinContext&, Args args) {
  return Value::boolean(args[0].type() == kType);
}

Result<Value> type_name_of(BuiltinContext&, Args args) {
  return Value::string(type_name(args[0].type()));
}

Result<Value> to_number(BuiltinContext&, Args args) {
  const Value& v = args[0];
  switch (v.type()) {
    case Type::kNull:
      return Value::integer(0);
    case Type::kBoolean:
      return Value::integer(v.is_true() ? 1 : 0);
    case Type::kNumber:
      return v;
    case Type::kString:
      break;
    default:
      return operand_error_one_of(1, "null, boolean, number, string", v);
  }
  const std::string_view text = v.as_string();
  if (!is_json_number(text)) {
    // What strconv would take for a float and JSON does not.
    std::string word(text);
    for (char& c : word) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!word.empty() && (word.front() == '-' || word.front() == '+')) word.erase(0, 1);
    if (word == "nan" || word == "inf" || word == "infinity")
      return type_error("operand 1 must be valid number string but got " + std::string(text));
    return builtin_error("invalid syntax");
  }
  return Value::number_from_literal(text);
}

template <Type kType>
Result<Value> cast(BuiltinContext&, Args args) {
  if (args[0].type() != kType) return operand_error(1, type_name(kType), args[0]);
  return args[0];
}

Result<Value> cast_array(BuiltinContext&, Args args) {
  if (args[0].is_array()) return args[0];
  if (!args[0].is_set()) return operand_error_one_of(1, "array, set", args[0]);
  return Value::array({args[0].items().begin(), args[0].items().end()});
}

Result<Value> cast_set(BuiltinContext&, Args args) {
  if (args[0].is_set()) return args[0];
  if (!args[0].is_array()) return operand_error_one_of(1, "array, set", args[0]);
  return Value::set({args[0].items().begin(), args[0].items().end()});
}

// A note for OPA's traces, which there are none of here: true, as in OPA.
Result<Value> trace(BuiltinContext&, Args args) {
  COFFER_TRY_VOID(string_operand(args, 1));
  return Value::boolean(true);
}

constexpr Builtin kTable[] = {
    {"is_null", 1, is_type<Type::kNull>},
    {"is_boolean", 1, is_type<Type::kBoolean>},
    {"is_number", 1, is_type<Type::kNumber>},
    {"is_string", 1, is_type<Type::kString>},
    {"is_array", 1, is_type<Type::kArray>},
    {"is_object", 1, is_type<Type::kObject>},
    {"is_set", 1, is_type<Type::kSet>},
    {"type_name", 1, type_name_of},
    {"to_number", 1, to_number},
    {"trace", 1, trace},
    {"cast_array", 1, cast_array, kDeprecated},
    {"cast_set", 1, cast_set, kDeprecated},
    {"cast_string", 1, cast<Type::kString>, kDeprecated},
    {"cast_boolean", 1, cast<Type::kBoolean>, kDeprecated},
    {"cast_null", 1, cast<Type::kNull>, kDeprecated},
    {"cast_object", 1, cast<Type::kObject>, kDeprecated},
};

}  // namespace

std::span<const Builtin> type_builtins() { return kTable; }

}  // namespace coffer::policy
