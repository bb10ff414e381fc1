#include "policy/builtins/graphql/validate.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "policy/builtins/graphql/parser.h"

namespace coffer::policy::graphql {
namespace {

// Trees come from our parser, which bounds nesting, or from a policy, whose values are bounded too
// but deeper: this bounds the walk.
constexpr int kMaxNesting = 256;
// Selections visited, fragments expanded at each use: fragments can double at each level.
constexpr int kMaxVisits = 100'000;

class Validator {
 public:
  Validator(const Schema& schema, const Value& document) : schema_(schema) {
    operations_ = list_of(document, "Operations");
    for (const Value& fragment : list_of(document, "Fragments")) {
      const std::string name(text_of(fragment, "Name"));
      if (!fragments_.emplace(name, fragment).second) {
        complain("There can be only one fragment named \"{}\".", name);
      }
    }
  }

  Status run() {
    check_operation_names();
    for (const auto& [name, fragment] : fragments_) check_fragment(name, fragment);
    for (const Value& operation : operations_) check_operation(operation);
    for (const auto& [name, fragment] : fragments_) {
      if (!used_fragments_.contains(name)) complain("Fragment \"{}\" is never used.", name);
    }
    if (!fault_.empty()) return fail(Code::kFailedPrecondition, fault_);
    return {};
  }

 private:
  template <typename... Args>
  void complain(fmt::format_string<Args...> format, Args&&... args) {
    if (fault_.empty()) fault_ = fmt::format(format, std::forward<Args>(args)...);
  }
  [[nodiscard]] bool failed() const { return !fault_.empty(); }

  void check_operation_names() {
    std::set<std::string_view> names;
    for (const Value& operation : operations_) {
      const std::string_view name = text_of(operation, "Name");
      if (name.empty() && operations_.size() > 1) {
        complain("This anonymous operation must be the only defined operation.");
      }
      if (!name.empty() && !names.insert(name).second) {
        complain("There can be only one operation named \"{}\".", name);
      }
    }
  }

  void check_fragment(const std::string& name, const Value& fragment) {
    const std::string_view on = text_of(fragment, "TypeCondition");
    check_condition(on);
    check_directives(fragment, "FRAGMENT_DEFINITION");
    std::set<std::string, std::less<>> path = {name};
    check_cycles(list_of(fragment, "SelectionSet"), path, 0);
  }

  void check_condition(std::string_view name) {
    const TypeDefinition* type = schema_.type(name);
    if (type == nullptr) {
      complain("Unknown type \"{}\".", name);
    } else if (!type->is_composite()) {
      complain("Fragment cannot condition on non composite type \"{}\".", name);
    }
  }

  void check_cycles(std::span<const Value> selections, std::set<std::string, std::less<>>& path,
                    int depth) {
    if (depth > kMaxNesting || ++visits_ > kMaxVisits) {
      complain("the query is too large to check");
    }
    for (const Value& selection : selections) {
      if (failed()) return;
      check_cycles(list_of(selection, "SelectionSet"), path, depth + 1);
      if (!is_spread(selection)) continue;
      const std::string name(text_of(selection, "Name"));
      const auto found = fragments_.find(name);
      if (found == fragments_.end()) continue;
      if (!path.insert(name).second) {
        complain("Cannot spread fragment \"{}\" within itself.", name);
        return;
      }
      check_cycles(list_of(found->second, "SelectionSet"), path, depth + 1);
      path.erase(name);
    }
  }

  static bool is_field(const Value& selection) { return selection.find("Alias") != nullptr; }
  static bool is_spread(const Value& selection) {
    return !is_field(selection) && selection.find("Name") != nullptr;
  }

  void check_operation(const Value& operation) {
    if (failed()) return;
    const std::string_view kind = text_of(operation, "Operation");
    const std::string root = schema_.root(kind);
    if (root.empty()) {
      complain("Schema does not support operation type \"{}\"", kind);
      return;
    }
    std::string location(kind);
    std::ranges::transform(location, location.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    variables_.clear();
    used_variables_.clear();
    for (const Value& variable : list_of(operation, "VariableDefinitions")) {
      check_variable(variable);
    }
    check_directives(operation, location);
    check_selections(list_of(operation, "SelectionSet"), root, 0);
    if (kind == "subscription") check_subscription(operation);
    for (const auto& [name, variable] : variables_) {
      if (!used_variables_.contains(name)) complain("Variable \"${}\" is never used.", name);
    }
  }

  void check_subscription(const Value& operation) {
    std::map<std::string, Field> fields;
    collect(list_of(operation, "SelectionSet"), schema_.root("subscription"), fields, 0);
    if (fields.size() > 1) {
      complain("Subscription \"{}\" must select only one top level field.",
               text_of(operation, "Name"));
    }
  }

  void check_variable(const Value& variable) {
    const std::string name(text_of(variable, "Variable"));
    if (!variables_.emplace(name, variable).second) {
      complain("There can be only one variable named \"${}\".", name);
    }
    const Value type = member(variable, "Type");
    const TypeDefinition* definition = schema_.type(named_type(type));
    if (definition == nullptr) {
      complain("Unknown type \"{}\".", named_type(type));
    } else if (!definition->is_input()) {
      complain("Variable \"${}\" cannot be non-input type.", name);
    } else if (const Value initial = member(variable, "DefaultValue"); initial.defined()) {
      check_value(initial, type, false, 0);
    }
    check_directives(variable, "VARIABLE_DEFINITION");
  }

  void check_selections(std::span<const Value> selections, std::string_view parent, int depth) {
    if (depth > kMaxNesting || (visits_ += static_cast<int>(selections.size()) + 1) > kMaxVisits) {
      complain("the query is too large to check");
    }
    for (const Value& selection : selections) {
      if (failed()) return;
      if (is_field(selection)) {
        check_field(selection, parent, depth);
      } else if (is_spread(selection)) {
        check_spread(selection, parent, depth);
      } else {
        check_inline(selection, parent, depth);
      }
    }
    std::map<std::string, Field> merged;
    collect(selections, parent, merged, depth);
  }

  // The definition of a field; the meta fields of section 4.1 too.
  Value find_field(std::string_view parent, std::string_view name) {
    static const Value kTypeName = meta_field("__typename", "String");
    const TypeDefinition* type = schema_.type(parent);
    if (type == nullptr) return {};
    if (name == "__typename" && type->is_composite()) return kTypeName;
    if (parent == schema_.root("query")) {
      if (name == "__schema") return meta_field("__schema", "__Schema");
      if (name == "__type") return meta_field("__type", "__Type");
    }
    const auto found = type->fields.find(name);
    return found == type->fields.end() ? Value() : found->second;
  }

  static Value meta_field(std::string_view name, std::string_view type) {
    const std::string arguments = name == "__type" ? "(name: String!)" : "";
    const auto document = parse_schema(fmt::format("type X {{ {}{}: {} }}", name, arguments, type));
    return list_of(list_of(*document, "Definitions")[0], "Fields")[0];
  }

  void check_field(const Value& field, std::string_view parent, int depth) {
    const std::string_view name = text_of(field, "Name");
    const Value definition = find_field(parent, name);
    if (!definition.defined()) {
      complain("Cannot query field \"{}\" on type \"{}\".", name, parent);
      return;
    }
    check_arguments(field, definition, fmt::format("field \"{}.{}\"", parent, name));
    check_directives(field, "FIELD");
    const std::string_view target = named_type(member(definition, "Type"));
    const TypeDefinition* type = schema_.type(target);
    const auto selections = list_of(field, "SelectionSet");
    const bool composite = type != nullptr && type->is_composite();
    if (composite && selections.empty()) {
      complain("Field \"{}\" of type \"{}\" must have a selection of subfields.", name, target);
    }
    if (!composite && !selections.empty()) {
      complain("Field \"{}\" must not have a selection since type \"{}\" has no subfields.", name,
               target);
    }
    if (!selections.empty()) check_selections(selections, target, depth + 1);
  }

  void check_spread(const Value& spread, std::string_view parent, int depth) {
    const std::string name(text_of(spread, "Name"));
    check_directives(spread, "FRAGMENT_SPREAD");
    const auto found = fragments_.find(name);
    if (found == fragments_.end()) {
      complain("Unknown fragment \"{}\".", name);
      return;
    }
    used_fragments_.insert(name);
    const std::string_view on = text_of(found->second, "TypeCondition");
    check_possible(parent, on);
    check_selections(list_of(found->second, "SelectionSet"), on, depth + 1);
  }

  void check_inline(const Value& fragment, std::string_view parent, int depth) {
    check_directives(fragment, "INLINE_FRAGMENT");
    std::string_view on = text_of(fragment, "TypeCondition");
    if (on.empty()) {
      on = parent;
    } else {
      check_condition(on);
      if (!failed()) check_possible(parent, on);
    }
    check_selections(list_of(fragment, "SelectionSet"), on, depth + 1);
  }

  void check_possible(std::string_view parent, std::string_view on) {
    const auto of_parent = schema_.possible_objects(parent);
    if (std::ranges::none_of(of_parent,
                             [&](const std::string& o) { return schema_.possible(on, o); })) {
      complain(
          "Fragment cannot be spread here as objects of type \"{}\" can never be of type "
          "\"{}\".",
          parent, on);
    }
  }

  void check_directives(const Value& holder, std::string_view location) {
    std::set<std::string_view> seen;
    for (const Value& applied : list_of(holder, "Directives")) {
      const std::string_view name = text_of(applied, "Name");
      const Value* definition = schema_.directive(name);
      if (definition == nullptr) {
        complain("Unknown directive \"@{}\".", name);
        return;
      }
      const auto locations = list_of(*definition, "Locations");
      if (std::ranges::none_of(locations, [&](const Value& l) {
            return l.is_string() && l.as_string() == location;
          })) {
        complain("Directive \"@{}\" may not be used on {}.", name, location);
      }
      if (!seen.insert(name).second && !flag_of(*definition, "IsRepeatable")) {
        complain("The directive \"@{}\" can only be used once at this location.", name);
      }
      check_arguments(applied, *definition, fmt::format("directive \"@{}\"", name));
    }
  }

  void check_arguments(const Value& holder, const Value& definition, const std::string& where) {
    const auto given = list_of(holder, "Arguments");
    const auto known = list_of(definition, "Arguments");
    std::set<std::string_view> seen;
    for (const Value& argument : given) {
      const std::string_view name = text_of(argument, "Name");
      if (!seen.insert(name).second) complain("There can be only one argument named \"{}\".", name);
      const auto found = std::ranges::find_if(
          known, [&](const Value& other) { return text_of(other, "Name") == name; });
      if (found == known.end()) {
        complain("Unknown argument \"{}\" on {}.", name, where);
        return;
      }
      check_value(member(argument, "Value"), member(*found, "Type"),
                  member(*found, "DefaultValue").defined(), 0);
    }
    for (const Value& wanted : known) {
      const bool required =
          flag_of(member(wanted, "Type"), "NonNull") && !member(wanted, "DefaultValue").defined();
      if (required && !seen.contains(text_of(wanted, "Name"))) {
        complain("{} argument \"{}\" is required, but it was not provided.", where,
                 text_of(wanted, "Name"));
      }
    }
  }

  // Whether a variable of type `have` (with a default) may stand where `want` is asked.
  static bool fits(const Value& have, const Value& want, bool has_default) {
    if (flag_of(want, "NonNull") && !flag_of(have, "NonNull") && !has_default) return false;
    const Value want_element = member(want, "Elem");
    const Value have_element = member(have, "Elem");
    if (want_element.defined() != have_element.defined()) return false;
    if (want_element.defined()) return fits(have_element, want_element, false);
    return text_of(want, "NamedType") == text_of(have, "NamedType");
  }

  void check_variable_use(const Value& value, const Value& type, bool has_default) {
    const std::string name(text_of(value, "Raw"));
    used_variables_.insert(name);
    const auto found = variables_.find(name);
    if (found == variables_.end()) {
      complain("Variable \"${}\" is not defined.", name);
      return;
    }
    const Value initial = member(found->second, "DefaultValue");
    const bool helped =
        has_default || (initial.defined() && member(initial, "Kind") != Value::integer(kNullValue));
    if (!fits(member(found->second, "Type"), type, helped)) {
      complain("Variable \"${}\" of another type is used in this position.", name);
    }
  }

  void check_value(const Value& value, const Value& type, bool has_default, int depth) {
    if (depth > kMaxNesting) complain("a value is nested too deep");
    if (failed()) return;
    const Value kind = member(value, "Kind");
    const auto is = [&](ValueKind k) { return kind == Value::integer(k); };
    if (is(kVariable)) return check_variable_use(value, type, has_default);
    if (is(kNullValue)) {
      if (flag_of(type, "NonNull")) complain("Expected a value that is not null, found null.");
      return;
    }
    if (const Value element = member(type, "Elem"); element.defined()) {
      // A single value stands for a list of one.
      if (!is(kListValue)) return check_value(value, element, false, depth + 1);
      for (const Value& child : list_of(value, "Children")) {
        check_value(member(child, "Value"), element, false, depth + 1);
      }
      return;
    }
    const std::string_view name = text_of(type, "NamedType");
    const TypeDefinition* definition = schema_.type(name);
    if (definition == nullptr) {
      complain("Unknown type \"{}\".", name);
    } else if (definition->kind == "INPUT_OBJECT") {
      check_object(value, *definition, name, depth);
    } else if (!scalar_fits(value, *definition, name)) {
      complain("{} cannot represent the value {}.", name, text_of(value, "Raw"));
    }
  }

  static bool scalar_fits(const Value& value, const TypeDefinition& type, std::string_view name) {
    const Value kind = member(value, "Kind");
    const auto is = [&](ValueKind k) { return kind == Value::integer(k); };
    if (type.kind == "ENUM") {
      return is(kEnumValue) &&
             std::ranges::find(type.enum_values, text_of(value, "Raw")) != type.enum_values.end();
    }
    const bool string = is(kStringValue) || is(kBlockValue);
    if (name == "Int") return is(kIntValue);
    if (name == "Float") return is(kIntValue) || is(kFloatValue);
    if (name == "String") return string;
    if (name == "Boolean") return is(kBooleanValue);
    if (name == "ID") return string || is(kIntValue);
    return !is(kListValue) || type.kind == "SCALAR";
  }

  void check_object(const Value& value, const TypeDefinition& type, std::string_view name,
                    int depth) {
    if (member(value, "Kind") != Value::integer(kObjectValue)) {
      complain("Expected value of type \"{}\", found {}.", name, text_of(value, "Raw"));
      return;
    }
    std::set<std::string_view> seen;
    for (const Value& child : list_of(value, "Children")) {
      const std::string_view field = text_of(child, "Name");
      if (!seen.insert(field).second) {
        complain("There can be only one input field named \"{}\".", field);
      }
      const auto found = type.fields.find(field);
      if (found == type.fields.end()) {
        complain("Field \"{}\" is not defined by type \"{}\".", field, name);
        return;
      }
      check_value(member(child, "Value"), member(found->second, "Type"),
                  member(found->second, "DefaultValue").defined(), depth + 1);
    }
    for (const auto& [field, definition] : type.fields) {
      const bool required = flag_of(member(definition, "Type"), "NonNull") &&
                            !member(definition, "DefaultValue").defined();
      if (required && !seen.contains(field)) {
        complain("Field \"{}.{}\" of a required type was not provided.", name, field);
      }
    }
  }

  struct Field {
    std::string parent;
    Value node;
  };

  // Section 5.3.2: selections of one response name must be the same field with the same arguments,
  // unless their parents are two object types.
  void collect(std::span<const Value> selections, std::string_view parent,
               std::map<std::string, Field>& merged, int depth) {
    if (depth > kMaxNesting || ++visits_ > kMaxVisits) {
      complain("the query is too large to check");
    }
    for (const Value& selection : selections) {
      if (failed()) return;
      if (is_field(selection)) {
        merge(selection, parent, merged);
      } else if (is_spread(selection)) {
        const auto found = fragments_.find(text_of(selection, "Name"));
        if (found == fragments_.end()) continue;
        collect(list_of(found->second, "SelectionSet"), text_of(found->second, "TypeCondition"),
                merged, depth + 1);
      } else {
        const std::string_view on = text_of(selection, "TypeCondition");
        collect(list_of(selection, "SelectionSet"), on.empty() ? parent : on, merged, depth + 1);
      }
    }
  }

  void merge(const Value& field, std::string_view parent, std::map<std::string, Field>& merged) {
    const std::string key(text_of(field, "Alias"));
    const auto [it, fresh] = merged.emplace(key, Field{std::string(parent), field});
    if (fresh) return;
    const Field& other = it->second;
    const TypeDefinition* a = schema_.type(parent);
    const TypeDefinition* b = schema_.type(other.parent);
    const bool apart = a != nullptr && b != nullptr && a->kind == "OBJECT" && b->kind == "OBJECT" &&
                       parent != other.parent;
    const bool same = text_of(field, "Name") == text_of(other.node, "Name") &&
                      member(field, "Arguments") == member(other.node, "Arguments");
    if (!apart && !same) {
      complain("Fields \"{}\" conflict because they are different fields.", key);
    }
  }

  const Schema& schema_;
  std::span<const Value> operations_;
  std::map<std::string, Value, std::less<>> fragments_;
  std::map<std::string, Value, std::less<>> variables_;
  std::set<std::string, std::less<>> used_variables_, used_fragments_;
  std::string fault_;
  int visits_ = 0;
};

}  // namespace

Status validate_query(const Schema& schema, const Value& document) {
  return Validator(schema, document).run();
}

}  // namespace coffer::policy::graphql
