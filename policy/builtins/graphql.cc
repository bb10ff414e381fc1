// graphql.*: documents as text or as the trees that graphql.parse_query and parse_schema give.

#include <array>

#include "policy/builtins/families.h"
#include "policy/builtins/graphql/parser.h"
#include "policy/builtins/graphql/schema.h"
#include "policy/builtins/graphql/validate.h"
#include "policy/builtins/registry.h"

namespace coffer::policy {
namespace {

Result<Value> document_operand(std::span<const Value> args, std::size_t position, bool schema) {
  const Value& operand = args[position - 1];
  if (operand.is_object()) return operand;
  if (!operand.is_string()) return operand_error_one_of(position, "string, object", operand);
  return schema ? graphql::parse_schema(operand.as_string())
                : graphql::parse_query(operand.as_string());
}

struct Pair {
  Value query, schema;
};

// Both documents, parsed and checked against each other.
Result<Pair> checked(std::span<const Value> args) {
  Pair pair;
  COFFER_TRY(pair.query, document_operand(args, 1, false));
  COFFER_TRY(pair.schema, document_operand(args, 2, true));
  COFFER_TRY(const graphql::Schema schema, graphql::Schema::build(pair.schema));
  COFFER_TRY_VOID(graphql::validate_query(schema, pair.query));
  return pair;
}

Result<Value> is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  return Value::boolean(checked(args).has_value());
}

Result<Value> parse(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(Pair pair, checked(args));
  return Value::array({std::move(pair.query), std::move(pair.schema)});
}

Result<Value> parse_and_verify(BuiltinContext& /*context*/, std::span<const Value> args) {
  auto pair = checked(args);
  if (!pair) {
    return Value::array({Value::boolean(false), Value::empty_object(), Value::empty_object()});
  }
  return Value::array({Value::boolean(true), std::move(pair->query), std::move(pair->schema)});
}

Result<Value> parse_query(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return graphql::parse_query(text);
}

Result<Value> parse_schema(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  return graphql::parse_schema(text);
}

Result<Value> schema_is_valid(BuiltinContext& /*context*/, std::span<const Value> args) {
  const auto document = document_operand(args, 1, true);
  return Value::boolean(document && graphql::Schema::build(*document).has_value());
}

constexpr std::array<Builtin, 6> kBuiltins = {{
    {"graphql.is_valid", 2, is_valid},
    {"graphql.parse", 2, parse},
    {"graphql.parse_and_verify", 2, parse_and_verify},
    {"graphql.parse_query", 1, parse_query},
    {"graphql.parse_schema", 1, parse_schema},
    {"graphql.schema_is_valid", 1, schema_is_valid},
}};

}  // namespace

std::span<const Builtin> graphql_builtins() { return kBuiltins; }

}  // namespace coffer::policy
