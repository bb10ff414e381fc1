#include "policy/builtins/graphql/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "policy/builtins/graphql/parser.h"

namespace coffer::policy::graphql {
namespace {

// What every schema has (sections 3.5, 3.13 and 4.5).
constexpr std::string_view kPrelude = R"(
scalar Int scalar Float scalar String scalar Boolean scalar ID
directive @include(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @skip(if: Boolean!) on FIELD | FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @defer(if: Boolean = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
directive @deprecated(reason: String = "No longer supported")
  on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @specifiedBy(url: String!) on SCALAR
type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type
  subscriptionType: __Type directives: [__Directive!]! }
type __Type { kind: __TypeKind! name: String description: String specifiedByURL: String
  fields(includeDeprecated: Boolean = false): [__Field!] interfaces: [__Type!]
  possibleTypes: [__Type!] enumValues(includeDeprecated: Boolean = false): [__EnumValue!]
  inputFields(includeDeprecated: Boolean = false): [__InputValue!] ofType: __Type }
type __Field { name: String! description: String
  args(includeDeprecated: Boolean = false): [__InputValue!]! type: __Type! isDeprecated: Boolean!
  deprecationReason: String }
type __InputValue { name: String! description: String type: __Type! defaultValue: String
  isDeprecated: Boolean! deprecationReason: String }
type __EnumValue { name: String! description: String isDeprecated: Boolean!
  deprecationReason: String }
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
type __Directive { name: String! description: String locations: [__DirectiveLocation!]!
  args: [__InputValue!]! isRepeatable: Boolean! }
enum __DirectiveLocation { QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION FRAGMENT_SPREAD
  INLINE_FRAGMENT VARIABLE_DEFINITION SCHEMA SCALAR OBJECT FIELD_DEFINITION ARGUMENT_DEFINITION
  INTERFACE UNION ENUM ENUM_VALUE INPUT_OBJECT INPUT_FIELD_DEFINITION }
)";

Status fault(std::string message) {
  return std::unexpected(Error(Code::kFailedPrecondition, std::move(message)));
}

bool reserved(std::string_view name) { return name.starts_with("__"); }

template <typename List>
bool has(const List& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

// Names that must differ; the first that stands twice.
Status check_unique(std::span<const Value> nodes, std::string_view key, std::string_view what) {
  std::set<std::string_view> seen;
  for (const Value& node : nodes) {
    if (!seen.insert(text_of(node, key)).second) {
      return fault(fmt::format("{} {} stands twice", what, text_of(node, key)));
    }
  }
  return {};
}

}  // namespace

Value member(const Value& node, std::string_view key) {
  const Value* found = node.find(key);
  return found == nullptr ? Value() : *found;
}
std::string_view text_of(const Value& node, std::string_view key) {
  const Value* found = node.find(key);
  return found == nullptr || !found->is_string() ? std::string_view() : found->as_string();
}
std::span<const Value> list_of(const Value& node, std::string_view key) {
  const Value* found = node.find(key);
  if (found == nullptr || !found->is_array()) return {};
  return found->items();
}
bool flag_of(const Value& node, std::string_view key) {
  const Value* found = node.find(key);
  return found != nullptr && found->is_true();
}

std::string_view named_type(const Value& type) {
  const Value* at = &type;
  while (const Value* inner = at->find("Elem")) at = inner;
  return text_of(*at, "NamedType");
}

const TypeDefinition* Schema::type(std::string_view name) const {
  const auto found = types_.find(name);
  return found == types_.end() ? nullptr : &found->second;
}
const Value* Schema::directive(std::string_view name) const {
  const auto found = directives_.find(name);
  return found == directives_.end() ? nullptr : &found->second;
}
std::string Schema::root(std::string_view operation) const {
  const auto found = roots_.find(operation);
  return found == roots_.end() ? std::string() : found->second;
}

std::vector<std::string> Schema::possible_objects(std::string_view name) const {
  const TypeDefinition* definition = type(name);
  if (definition == nullptr) return {};
  if (definition->kind == "OBJECT") return {std::string(name)};
  if (definition->kind == "UNION") return definition->members;
  std::vector<std::string> found;
  for (const auto& [other, candidate] : types_) {
    if (candidate.kind == "OBJECT" && has(candidate.interfaces, name)) found.push_back(other);
  }
  return found;
}
bool Schema::possible(std::string_view name, std::string_view object) const {
  return has(possible_objects(name), object);
}

Result<Schema> Schema::build(const Value& document) {
  Schema schema;
  COFFER_TRY(const Value prelude, parse_schema(kPrelude));
  for (const Value* source : {&prelude, &document}) {
    for (const Value& definition : list_of(*source, "Definitions")) {
      if (source == &document && reserved(text_of(definition, "Name"))) {
        return fail(Code::kFailedPrecondition,
                    fmt::format("Name {} must not begin with \"__\", which is reserved by GraphQL "
                                "introspection.",
                                text_of(definition, "Name")));
      }
      COFFER_TRY_VOID(schema.add_definition(definition, false));
    }
    for (const Value& definition : list_of(*source, "Directives")) {
      const std::string name(text_of(definition, "Name"));
      // A document may repeat what the prelude has.
      if (!schema.directives_.emplace(name, definition).second &&
          !has(std::vector<std::string>{"include", "skip", "deprecated", "specifiedBy", "defer"},
               name)) {
        return fail(Code::kFailedPrecondition, "Cannot redeclare directive " + name + ".");
      }
    }
  }
  for (const Value& extension : list_of(document, "Extensions")) {
    COFFER_TRY_VOID(schema.add_definition(extension, true));
  }
  COFFER_TRY_VOID(schema.add_roots(document));
  COFFER_TRY_VOID(schema.check());
  return schema;
}

Status Schema::add_definition(const Value& definition, bool extension) {
  const std::string name(text_of(definition, "Name"));
  auto [it, fresh] = types_.try_emplace(name);
  TypeDefinition& type = it->second;
  if (!fresh && !extension) return fault("Cannot redeclare type " + name + ".");
  const std::string_view kind = text_of(definition, "Kind");
  if (!fresh && type.kind != kind) {
    return fault(fmt::format("Cannot extend type {} because the base type is a {}, not {}.", name,
                             type.kind, kind));
  }
  type.kind = kind;
  for (const Value& interface : list_of(definition, "Interfaces")) {
    type.interfaces.emplace_back(interface.is_string() ? interface.as_string() : "");
  }
  for (const Value& other : list_of(definition, "Types")) {
    type.members.emplace_back(other.is_string() ? other.as_string() : "");
  }
  for (const Value& value : list_of(definition, "EnumValues")) {
    const std::string text(text_of(value, "Name"));
    if (has(type.enum_values, text)) return fault("enum value " + text + " stands twice");
    type.enum_values.push_back(text);
    COFFER_TRY_VOID(check_applied(list_of(value, "Directives"), "ENUM_VALUE"));
  }
  for (const Value& field : list_of(definition, "Fields")) {
    const std::string field_name(text_of(field, "Name"));
    if (!type.fields.emplace(field_name, field).second) {
      return fault(fmt::format("Field {}.{} can only be defined once.", name, field_name));
    }
  }
  const auto directives = list_of(definition, "Directives");
  type.directives.insert(type.directives.end(), directives.begin(), directives.end());
  return {};
}

Status Schema::add_roots(const Value& document) {
  const auto schemas = list_of(document, "Schema");
  if (schemas.size() > 1) {
    return fault("Cannot have multiple schema entry points, consider schema extensions instead.");
  }
  for (const std::string_view part : {"Schema", "SchemaExtension"}) {
    for (const Value& entry : list_of(document, part)) {
      COFFER_TRY_VOID(check_applied(list_of(entry, "Directives"), "SCHEMA"));
      for (const Value& operation : list_of(entry, "OperationTypes")) {
        const std::string name(text_of(operation, "Type"));
        if (type(name) == nullptr) {
          return fault(fmt::format("Schema root {} refers to a type {} that does not exist.",
                                   text_of(operation, "Operation"), name));
        }
        roots_[std::string(text_of(operation, "Operation"))] = name;
      }
    }
  }
  if (!schemas.empty()) return {};
  constexpr std::pair<std::string_view, std::string_view> kDefaults[] = {
      {"query", "Query"}, {"mutation", "Mutation"}, {"subscription", "Subscription"}};
  for (const auto& [operation, name] : kDefaults) {
    if (type(name) != nullptr) roots_.emplace(operation, name);
  }
  return {};
}

Status Schema::check() const {
  for (const auto& [name, type] : types_) COFFER_TRY_VOID(check_type(name, type));
  for (const auto& [name, directive] : directives_) {
    if (reserved(name)) return fault("Name " + name + " must not begin with \"__\".");
    COFFER_TRY_VOID(check_arguments("@" + name, directive));
  }
  return {};
}

Status Schema::check_type(const std::string& name, const TypeDefinition& type) const {
  const bool has_fields =
      type.kind == "OBJECT" || type.kind == "INTERFACE" || type.kind == "INPUT_OBJECT";
  if (has_fields && type.fields.empty()) {
    return fault(fmt::format("{} {}: must define one or more fields.", type.kind, name));
  }
  if (type.kind == "ENUM" && type.enum_values.empty()) {
    return fault(fmt::format("ENUM {}: must define one or more unique enum values.", name));
  }
  if (type.kind == "UNION" && type.members.empty()) {
    return fault(fmt::format("UNION {}: must define one or more unique member types.", name));
  }
  for (const std::string& value : type.enum_values) {
    if (value == "true" || value == "false" || value == "null") {
      return fault(fmt::format("ENUM {}: non-enum value {}.", name, value));
    }
  }
  for (const std::string& other : type.members) {
    const TypeDefinition* found = this->type(other);
    if (found == nullptr) return fault("Undefined type " + other + ".");
    if (found->kind != "OBJECT") {
      return fault(fmt::format("UNION type {} must be OBJECT.", other));
    }
  }
  for (const auto& [field_name, field] : type.fields) {
    COFFER_TRY_VOID(check_field(name, type, field));
  }
  COFFER_TRY_VOID(check_interfaces(name, type));
  return check_applied(type.directives, type.kind);
}

Status Schema::check_field(const std::string& owner, const TypeDefinition& type,
                           const Value& field) const {
  const std::string_view name = text_of(field, "Name");
  if (reserved(name)) {
    return fault(fmt::format("Name {} must not begin with \"__\".", name));
  }
  const std::string_view target = named_type(member(field, "Type"));
  const TypeDefinition* found = this->type(target);
  if (found == nullptr) return fault(fmt::format("Undefined type {}.", target));
  const bool input = type.kind == "INPUT_OBJECT";
  if (input && !found->is_input()) {
    return fault(
        fmt::format("{}.{}: field must be an input type, {} is none.", owner, name, target));
  }
  if (!input && found->kind == "INPUT_OBJECT") {
    return fault(
        fmt::format("{}.{}: field must be an output type, {} is none.", owner, name, target));
  }
  COFFER_TRY_VOID(check_arguments(fmt::format("{}.{}", owner, name), field));
  return check_applied(list_of(field, "Directives"),
                       input ? "INPUT_FIELD_DEFINITION" : "FIELD_DEFINITION");
}

Status Schema::check_arguments(const std::string& where, const Value& holder) const {
  const auto arguments = list_of(holder, "Arguments");
  COFFER_TRY_VOID(check_unique(arguments, "Name", where + ": argument"));
  for (const Value& argument : arguments) {
    const std::string_view target = named_type(member(argument, "Type"));
    const TypeDefinition* found = type(target);
    if (found == nullptr) return fault(fmt::format("Undefined type {}.", target));
    if (!found->is_input()) {
      return fault(fmt::format("cannot use {} as argument {} because {} is not a valid input type",
                               target, text_of(argument, "Name"), found->kind));
    }
    if (reserved(text_of(argument, "Name"))) {
      return fault(fmt::format("Name {} must not begin with \"__\".", text_of(argument, "Name")));
    }
    COFFER_TRY_VOID(check_applied(list_of(argument, "Directives"), "ARGUMENT_DEFINITION"));
  }
  return {};
}

Status Schema::check_interfaces(const std::string& name, const TypeDefinition& type) const {
  for (const std::string& interface : type.interfaces) {
    const TypeDefinition* found = this->type(interface);
    if (found == nullptr) return fault("Undefined type \"" + interface + "\".");
    if (found->kind != "INTERFACE") {
      return fault(fmt::format("\"{}\" is a non interface type {}.", interface, found->kind));
    }
    for (const std::string& outer : found->interfaces) {
      if (!has(type.interfaces, outer)) {
        return fault(fmt::format("Type {} must implement {} because it is implemented by {}.", name,
                                 outer, interface));
      }
    }
    COFFER_TRY_VOID(check_implements(name, type, interface));
  }
  return {};
}

Status Schema::check_implements(const std::string& name, const TypeDefinition& type,
                                const std::string& interface) const {
  for (const auto& [field_name, wanted] : this->type(interface)->fields) {
    const auto found = type.fields.find(field_name);
    if (found == type.fields.end()) {
      return fault(fmt::format("For {} to implement {} it must have a field called {}.", name,
                               interface, field_name));
    }
    if (!covariant(member(found->second, "Type"), member(wanted, "Type"))) {
      return fault(fmt::format("For {} to implement {} the field {} must have a fitting type.",
                               name, interface, field_name));
    }
    for (const Value& argument : list_of(wanted, "Arguments")) {
      const auto have = list_of(found->second, "Arguments");
      const bool same = std::ranges::any_of(have, [&](const Value& other) {
        return text_of(other, "Name") == text_of(argument, "Name") &&
               member(other, "Type") == member(argument, "Type");
      });
      if (!same) {
        return fault(fmt::format("For {} to implement {} the field {} must have the argument {}.",
                                 name, interface, field_name, text_of(argument, "Name")));
      }
    }
  }
  return {};
}

bool Schema::covariant(const Value& have, const Value& want) const {
  if (flag_of(want, "NonNull") && !flag_of(have, "NonNull")) return false;
  const Value want_element = member(want, "Elem");
  const Value have_element = member(have, "Elem");
  if (want_element.defined() != have_element.defined()) return false;
  if (want_element.defined()) return covariant(have_element, want_element);
  const std::string_view want_name = text_of(want, "NamedType");
  const std::string_view have_name = text_of(have, "NamedType");
  if (want_name == have_name) return true;
  const TypeDefinition* have_type = type(have_name);
  const TypeDefinition* want_type = type(want_name);
  if (have_type == nullptr || want_type == nullptr) return false;
  return has(have_type->interfaces, want_name) || has(want_type->members, have_name);
}

Status Schema::check_applied(std::span<const Value> directives, std::string_view location) const {
  for (const Value& applied : directives) {
    const std::string_view name = text_of(applied, "Name");
    const Value* definition = directive(name);
    if (definition == nullptr) return fault(fmt::format("Undefined directive {}.", name));
    const auto locations = list_of(*definition, "Locations");
    const bool fits = std::ranges::any_of(locations, [&](const Value& allowed) {
      return allowed.is_string() && allowed.as_string() == location;
    });
    if (!fits) {
      return fault(fmt::format("Directive {} is not applicable on {}.", name, location));
    }
    for (const Value& argument : list_of(applied, "Arguments")) {
      const auto known = list_of(*definition, "Arguments");
      if (std::ranges::none_of(known, [&](const Value& other) {
            return text_of(other, "Name") == text_of(argument, "Name");
          })) {
        return fault(fmt::format("Undefined argument {} for directive {}.",
                                 text_of(argument, "Name"), name));
      }
    }
  }
  return {};
}

}  // namespace coffer::policy::graphql
