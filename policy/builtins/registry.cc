#include "policy/builtins/registry.h"

#include <fmt/format.h>

#include <vector>

#include "policy/builtins/families.h"
#include "policy/value/number.h"

namespace coffer::policy {
namespace {

// All tables joined, once: the set of builtins is a constant of the program.
struct Registry {
  std::vector<const Builtin*> list;
  std::unordered_map<std::string_view, const Builtin*> by_name;

  Registry() {
    for (const auto table :
         {operator_builtins(), aggregate_builtins(),   type_builtins(),     array_builtins(),
          set_builtins(),      object_builtins(),      string_builtins(),   bits_builtins(),
          document_builtins(), json_schema_builtins(), number_builtins(),   sprintf_builtins(),
          text_builtins(),     uri_builtins(),         encoding_builtins(), regex_builtins(),
          glob_builtins(),     graph_builtins(),       graphql_builtins(),  net_builtins(),
          semver_builtins(),   time_builtins(),        units_builtins(),    uuid_builtins(),
          refused_builtins(),  crypto_builtins(),      jwt_builtins(),      x509_builtins()}) {
      for (const Builtin& builtin : table) {
        list.push_back(&builtin);
        by_name.emplace(builtin.name, &builtin);
      }
    }
  }
};

const Registry& registry() {
  static const Registry instance;
  return instance;
}

}  // namespace

const Builtin* find_builtin(std::string_view name) {
  const auto& names = registry().by_name;
  const auto found = names.find(name);
  return found == names.end() ? nullptr : found->second;
}

std::span<const Builtin* const> all_builtins() { return registry().list; }

Status BuiltinContext::check_size(std::size_t size, std::string_view what) const {
  if (size <= max_result) return {};
  return fail(Code::kResourceExhausted,
              fmt::format("{}: the result would have {} elements, at most {} are allowed", what,
                          size, max_result));
}

std::unexpected<Error> type_error(std::string message) {
  return fail(Code::kInvalidArgument, std::move(message));
}

std::unexpected<Error> builtin_error(std::string message) {
  return fail(Code::kFailedPrecondition, std::move(message));
}

std::unexpected<Error> operand_error(std::size_t position, std::string_view want,
                                     const Value& got) {
  return type_error(
      fmt::format("operand {} must be {} but got {}", position, want, type_name(got.type())));
}

std::unexpected<Error> operand_error_one_of(std::size_t position, std::string_view want_list,
                                            const Value& got) {
  return type_error(fmt::format("operand {} must be one of {{{}}} but got {}", position, want_list,
                                type_name(got.type())));
}

Result<std::string_view> string_operand(std::span<const Value> args, std::size_t position) {
  const Value& value = args[position - 1];
  if (!value.is_string()) return operand_error(position, "string", value);
  return value.as_string();
}

Result<std::int64_t> int_operand(std::span<const Value> args, std::size_t position) {
  const Value& value = args[position - 1];
  if (!value.is_number()) return operand_error(position, "integer number", value);
  const auto n = to_int64(value);
  if (!n)
    return type_error(
        fmt::format("operand {} must be integer number but got floating-point number", position));
  return *n;
}

Status require_type(std::span<const Value> args, std::size_t position, Type type) {
  const Value& value = args[position - 1];
  if (value.type() == type) return {};
  return operand_error(position, type_name(type), value);
}

}  // namespace coffer::policy
