// A type system, built from a parsed schema document and checked (section 3).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/value/value.h"

namespace coffer::policy::graphql {

// A member of a node of the tree: undefined, "" or an empty list when it is not there.
[[nodiscard]] Value member(const Value& node, std::string_view key);
[[nodiscard]] std::string_view text_of(const Value& node, std::string_view key);
[[nodiscard]] std::span<const Value> list_of(const Value& node, std::string_view key);
[[nodiscard]] bool flag_of(const Value& node, std::string_view key);
// The innermost name of a type reference: "[Int!]!" is "Int".
[[nodiscard]] std::string_view named_type(const Value& type);

struct TypeDefinition {
  std::string kind;  // SCALAR, OBJECT, INTERFACE, UNION, ENUM, INPUT_OBJECT
  std::vector<std::string> interfaces;
  std::vector<std::string> members;  // of a union
  std::vector<std::string> enum_values;
  std::map<std::string, Value, std::less<>> fields;  // definitions as in the tree
  std::vector<Value> directives;

  [[nodiscard]] bool is_input() const {
    return kind == "SCALAR" || kind == "ENUM" || kind == "INPUT_OBJECT";
  }
  [[nodiscard]] bool is_composite() const {
    return kind == "OBJECT" || kind == "INTERFACE" || kind == "UNION";
  }
};

class Schema {
 public:
  // kFailedPrecondition names the first fault.
  [[nodiscard]] static Result<Schema> build(const Value& document);

  [[nodiscard]] const TypeDefinition* type(std::string_view name) const;
  [[nodiscard]] const Value* directive(std::string_view name) const;
  // "query", "mutation", "subscription" to the root type's name; "" when there is none.
  [[nodiscard]] std::string root(std::string_view operation) const;
  // Whether a value of type `name` can be of object type `object`.
  [[nodiscard]] bool possible(std::string_view name, std::string_view object) const;
  [[nodiscard]] std::vector<std::string> possible_objects(std::string_view name) const;

 private:
  [[nodiscard]] Status add_definition(const Value& definition, bool extension);
  [[nodiscard]] Status add_roots(const Value& document);
  [[nodiscard]] Status check() const;
  [[nodiscard]] Status check_type(const std::string& name, const TypeDefinition& type) const;
  [[nodiscard]] Status check_field(const std::string& owner, const TypeDefinition& type,
                                   const Value& field) const;
  [[nodiscard]] Status check_arguments(const std::string& where, const Value& holder) const;
  [[nodiscard]] Status check_interfaces(const std::string& name, const TypeDefinition& type) const;
  [[nodiscard]] Status check_implements(const std::string& name, const TypeDefinition& type,
                                        const std::string& interface) const;
  [[nodiscard]] Status check_applied(std::span<const Value> directives,
                                     std::string_view location) const;
  [[nodiscard]] bool covariant(const Value& have, const Value& want) const;

  std::map<std::string, TypeDefinition, std::less<>> types_;
  std::map<std::string, Value, std::less<>> directives_;
  std::map<std::string, std::string, std::less<>> roots_;
};

}  // namespace coffer::policy::graphql
