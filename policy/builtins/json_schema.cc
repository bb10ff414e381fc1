// json.match_schema and json.verify_schema: JSON Schema drafts 4 to 7, without fetching: a "$ref"
// may point into the same schema only.

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/json.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

constexpr int kMaxNesting = 128;
constexpr int kMaxSteps = 1'000'000;
constexpr std::string_view kTypes[] = {"array", "boolean", "integer", "number",
                                       "null",  "object",  "string"};

Status bad_schema(std::string message) {
  return std::unexpected(Error(Code::kFailedPrecondition, std::move(message)));
}

Status check_type_name(const Value& name) {
  if (name.is_string() && std::ranges::find(kTypes, name.as_string()) != std::end(kTypes)) {
    return {};
  }
  return bad_schema(
      fmt::format("has a primitive type that is NOT VALID -- given: /{}/ Expected valid values "
                  "are:[array boolean integer number null object string]",
                  to_display(name)));
}

// Refuses a schema that says something impossible. Walks only what are schemas.
Status verify(const Value& schema, int depth) {
  if (depth > kMaxNesting) return bad_schema("the schema is nested too deep");
  if (schema.is_boolean()) return {};
  if (!schema.is_object()) return bad_schema("a schema must be an object or a boolean");
  if (const Value* type = schema.find("type")) {
    if (type->is_array()) {
      for (const Value& name : type->items()) COFFER_TRY_VOID(check_type_name(name));
    } else {
      COFFER_TRY_VOID(check_type_name(*type));
    }
  }
  if (const Value* required = schema.find("required")) {
    if (!required->is_array()) return bad_schema("required must be an array");
  }
  for (const std::string_view key : {"properties", "patternProperties", "definitions", "$defs"}) {
    const Value* map = schema.find(key);
    if (map == nullptr) continue;
    if (!map->is_object()) return bad_schema(fmt::format("{} must be an object", key));
    for (const Entry& entry : map->entries()) COFFER_TRY_VOID(verify(entry.value, depth + 1));
  }
  for (const std::string_view key : {"allOf", "anyOf", "oneOf"}) {
    const Value* list = schema.find(key);
    if (list == nullptr) continue;
    if (!list->is_array()) return bad_schema(fmt::format("{} must be an array", key));
    for (const Value& item : list->items()) COFFER_TRY_VOID(verify(item, depth + 1));
  }
  for (const std::string_view key :
       {"not", "additionalProperties", "additionalItems", "contains", "if", "then", "else"}) {
    if (const Value* inner = schema.find(key)) COFFER_TRY_VOID(verify(*inner, depth + 1));
  }
  if (const Value* items = schema.find("items")) {
    if (!items->is_array()) return verify(*items, depth + 1);
    for (const Value& item : items->items()) COFFER_TRY_VOID(verify(item, depth + 1));
  }
  return {};
}

bool has_type(const Value& value, std::string_view type) {
  if (type == "integer") return value.is_number() && to_bigint(value).has_value();
  return type_name(value.type()) == type;
}

// Checks one document; findings are {"error", "type", "field", "desc"} objects.
class Matcher {
 public:
  Matcher(BuiltinContext& context, const Value& root) : context_(context), root_(root) {}

  void match(const Value& document, const Value& schema, const std::string& field, int depth) {
    if (depth > kMaxNesting || ++steps_ > kMaxSteps) {
      complain(field, "limit", "the document is too large to check");
      return;
    }
    if (schema.is_false()) return complain(field, "false", "False always fails validation");
    if (!schema.is_object()) return;
    if (const Value* reference = schema.find("$ref")) {
      const Value* target = resolve(*reference);
      if (target == nullptr) {
        return complain(field, "ref", "the reference " + to_display(*reference) + " leads nowhere");
      }
      return match(document, *target, field, depth + 1);
    }
    match_type(document, schema, field);
    match_values(document, schema, field);
    match_combinations(document, schema, field, depth);
    if (document.is_object()) match_object(document, schema, field, depth);
    if (document.is_array()) match_array(document, schema, field, depth);
    if (document.is_string()) match_string(document, schema, field);
    if (document.is_number()) match_number(document, schema, field);
  }

  std::vector<Value> take() { return std::move(findings_); }
  [[nodiscard]] bool clean() const { return findings_.empty(); }

 private:
  void complain(const std::string& field, std::string_view type, const std::string& text) {
    ObjectBuilder finding;
    finding.add("error", Value::string(field + ": " + text));
    finding.add("type", Value::string(type));
    finding.add("field", Value::string(field));
    finding.add("desc", Value::string(text));
    findings_.push_back(finding.build());
  }

  bool fits(const Value& document, const Value& schema, int depth) {
    Matcher inner(context_, root_);
    inner.steps_ = steps_;
    inner.match(document, schema, "", depth + 1);
    steps_ = inner.steps_;
    return inner.clean();
  }

  const Value* resolve(const Value& reference) const {
    if (!reference.is_string() || !reference.as_string().starts_with('#')) return nullptr;
    std::string_view rest = reference.as_string().substr(1);
    const Value* at = &root_;
    while (!rest.empty() && at != nullptr) {
      rest.remove_prefix(1);
      const auto slash = rest.find('/');
      at = at->find(rest.substr(0, slash));
      rest = slash == std::string_view::npos ? std::string_view() : rest.substr(slash);
    }
    return at;
  }

  void match_type(const Value& document, const Value& schema, const std::string& field) {
    const Value* type = schema.find("type");
    if (type == nullptr) return;
    const auto fits_name = [&](const Value& name) {
      return name.is_string() && has_type(document, name.as_string());
    };
    const bool ok =
        type->is_array() ? std::ranges::any_of(type->items(), fits_name) : fits_name(*type);
    if (!ok) {
      complain(field, "invalid_type",
               fmt::format("Invalid type. Expected: {}, given: {}", to_display(*type),
                           has_type(document, "integer") ? "integer" : type_name(document.type())));
    }
  }

  void match_values(const Value& document, const Value& schema, const std::string& field) {
    if (const Value* allowed = schema.find("enum"); allowed != nullptr && allowed->is_array()) {
      if (std::ranges::find(allowed->items(), document) == allowed->items().end()) {
        complain(field, "enum",
                 fmt::format("{} must be one of the following: {}", field, to_display(*allowed)));
      }
    }
    if (const Value* constant = schema.find("const");
        constant != nullptr && *constant != document) {
      complain(field, "const", fmt::format("{} does not match: {}", field, to_display(*constant)));
    }
  }

  void match_combinations(const Value& document, const Value& schema, const std::string& field,
                          int depth) {
    if (const Value* all = schema.find("allOf"); all != nullptr && all->is_array()) {
      for (const Value& part : all->items()) match(document, part, field, depth + 1);
    }
    const auto count = [&](const Value& list) {
      return std::ranges::count_if(list.items(),
                                   [&](const Value& part) { return fits(document, part, depth); });
    };
    if (const Value* any = schema.find("anyOf"); any != nullptr && any->is_array()) {
      if (count(*any) == 0) {
        complain(field, "number_any_of", "Must validate at least one schema (anyOf)");
      }
    }
    if (const Value* one = schema.find("oneOf"); one != nullptr && one->is_array()) {
      if (count(*one) != 1) {
        complain(field, "number_one_of", "Must validate one and only one schema (oneOf)");
      }
    }
    if (const Value* no = schema.find("not"); no != nullptr && fits(document, *no, depth)) {
      complain(field, "number_not", "Must not validate the schema (not)");
    }
    if (const Value* condition = schema.find("if")) {
      const Value* branch = schema.find(fits(document, *condition, depth) ? "then" : "else");
      if (branch != nullptr) match(document, *branch, field, depth + 1);
    }
  }

  std::string below(const std::string& field, std::string_view name) const {
    return field == "(root)" ? std::string(name) : fmt::format("{}.{}", field, name);
  }

  bool pattern_fits(const Value& pattern, std::string_view text) {
    std::string error;
    const re2::RE2* regex = pattern.is_string() ? context_.regex->get(pattern, error) : nullptr;
    return regex != nullptr &&
           re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex);
  }

  void match_object(const Value& document, const Value& schema, const std::string& field,
                    int depth) {
    if (const Value* required = schema.find("required"); required && required->is_array()) {
      for (const Value& name : required->items()) {
        if (document.find(name) == nullptr) {
          complain(field, "required", to_display(name) + " is required");
        }
      }
    }
    const Value* properties = schema.find("properties");
    const Value* patterns = schema.find("patternProperties");
    const Value* additional = schema.find("additionalProperties");
    for (const Entry& entry : document.entries()) {
      if (!entry.key.is_string()) continue;
      const std::string_view name = entry.key.as_string();
      bool known = false;
      if (const Value* inner = properties == nullptr ? nullptr : properties->find(entry.key)) {
        known = true;
        match(entry.value, *inner, below(field, name), depth + 1);
      }
      if (patterns != nullptr && patterns->is_object()) {
        for (const Entry& pattern : patterns->entries()) {
          if (!pattern_fits(pattern.key, name)) continue;
          known = true;
          match(entry.value, pattern.value, below(field, name), depth + 1);
        }
      }
      if (known || additional == nullptr) continue;
      if (additional->is_false()) {
        complain(field, "additional_property_not_allowed",
                 fmt::format("Additional property {} is not allowed", name));
      } else {
        match(entry.value, *additional, below(field, name), depth + 1);
      }
    }
    match_size(document.size(), schema, field, "minProperties", "maxProperties", "properties");
  }

  void match_array(const Value& document, const Value& schema, const std::string& field,
                   int depth) {
    const Value* items = schema.find("items");
    const Value* rest = schema.find("additionalItems");
    for (std::size_t i = 0; i < document.size(); ++i) {
      const Value* wanted = items;
      if (items != nullptr && items->is_array()) {
        wanted = i < items->size() ? &items->items()[i] : rest;
      }
      if (wanted != nullptr) {
        match(document.items()[i], *wanted, below(field, std::to_string(i)), depth + 1);
      }
    }
    if (const Value* unique = schema.find("uniqueItems"); unique && unique->is_true()) {
      std::vector<Value> copy(document.items().begin(), document.items().end());
      if (Value::set(std::move(copy)).size() != document.size()) {
        complain(field, "unique", "array items must be unique");
      }
    }
    if (const Value* wanted = schema.find("contains")) {
      if (std::ranges::none_of(document.items(),
                               [&](const Value& item) { return fits(item, *wanted, depth); })) {
        complain(field, "contains", "At least one of the items must match");
      }
    }
    match_size(document.size(), schema, field, "minItems", "maxItems", "items");
  }

  void match_size(std::size_t size, const Value& schema, const std::string& field,
                  std::string_view low_key, std::string_view high_key, std::string_view what) {
    const Value have = Value::integer(static_cast<std::int64_t>(size));
    const Value* low = schema.find(low_key);
    const Value* high = schema.find(high_key);
    if (low != nullptr && low->is_number() && compare_numbers(have, *low) < 0) {
      complain(field, low_key, fmt::format("Must have at least {} {}", to_display(*low), what));
    }
    if (high != nullptr && high->is_number() && compare_numbers(have, *high) > 0) {
      complain(field, high_key, fmt::format("Must have at most {} {}", to_display(*high), what));
    }
  }

  void match_string(const Value& document, const Value& schema, const std::string& field) {
    match_size(count_runes(document.as_string()), schema, field, "minLength", "maxLength",
               "characters");
    const Value* pattern = schema.find("pattern");
    if (pattern != nullptr && !pattern_fits(*pattern, document.as_string())) {
      complain(field, "pattern", fmt::format("Does not match pattern '{}'", to_display(*pattern)));
    }
  }

  void match_number(const Value& document, const Value& schema, const std::string& field) {
    const auto bound = [&](std::string_view key, auto fails, std::string_view text) {
      const Value* limit = schema.find(key);
      if (limit != nullptr && limit->is_number() && fails(compare_numbers(document, *limit))) {
        complain(field, key, fmt::format("Must be {} {}", text, to_display(*limit)));
      }
    };
    bound("minimum", [](int order) { return order < 0; }, "greater than or equal to");
    bound("maximum", [](int order) { return order > 0; }, "less than or equal to");
    bound("exclusiveMinimum", [](int order) { return order <= 0; }, "greater than");
    bound("exclusiveMaximum", [](int order) { return order >= 0; }, "less than");
    const Value* factor = schema.find("multipleOf");
    if (factor != nullptr && factor->is_number()) {
      const auto quotient = arithmetic(ArithmeticOp::kDivide, document, *factor);
      if (quotient && !to_bigint(*quotient)) {
        complain(field, "multiple_of",
                 fmt::format("Must be a multiple of {}", to_display(*factor)));
      }
    }
  }

  BuiltinContext& context_;
  const Value& root_;
  std::vector<Value> findings_;
  int steps_ = 0;
};

// A document or a schema: an object (or a boolean), or JSON text of one.
Result<Value> document_operand(std::span<const Value> args, std::size_t position) {
  const Value& operand = args[position - 1];
  if (operand.is_object()) return operand;
  if (!operand.is_string()) return operand_error_one_of(position, "string, object", operand);
  auto parsed = parse_json(operand.as_string(), "JSON");
  if (!parsed) return builtin_error(parsed.error().message());
  return *std::move(parsed);
}

Result<Value> match_schema(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const Value document, document_operand(args, 1));
  COFFER_TRY(const Value schema, document_operand(args, 2));
  if (const auto valid = verify(schema, 0); !valid) return builtin_error(valid.error().message());
  Matcher matcher(context, schema);
  matcher.match(document, schema, "(root)", 0);
  const bool clean = matcher.clean();
  return Value::array({Value::boolean(clean), Value::array(matcher.take())});
}

Result<Value> verify_schema(BuiltinContext& /*context*/, std::span<const Value> args) {
  const auto schema = document_operand(args, 1);
  if (!schema && !args[0].is_string()) return std::unexpected(schema.error());
  const Status valid = schema ? verify(*schema, 0) : Status(std::unexpected(schema.error()));
  if (valid) return Value::array({Value::boolean(true), Value::null()});
  return Value::array(
      {Value::boolean(false), Value::string("jsonschema: " + valid.error().message())});
}

constexpr std::array<Builtin, 2> kBuiltins = {{
    {"json.match_schema", 2, match_schema},
    {"json.verify_schema", 1, verify_schema},
}};

}  // namespace

std::span<const Builtin> json_schema_builtins() { return kBuiltins; }

}  // namespace coffer::policy
