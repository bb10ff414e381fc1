// Values in Rego notation. Recursion goes as deep as a value, which is bounded.
#include "policy/value/json.h"
#include "policy/value/value.h"

namespace coffer::policy {
namespace {

void append(std::string& out, const Value& value) {
  switch (value.type()) {
    case Type::kUndefined:
      out += "<undefined>";
      return;
    case Type::kNull:
      out += "null";
      return;
    case Type::kBoolean:
      out += value.is_true() ? "true" : "false";
      return;
    case Type::kNumber:
      out += value.number_text();
      return;
    case Type::kString:
      append_json_string(out, value.as_string());
      return;
    case Type::kArray:
    case Type::kSet: {
      if (value.is_set() && value.size() == 0) {
        out += "set()";
        return;
      }
      out += value.is_set() ? "{" : "[";
      bool first = true;
      for (const Value& item : value.items()) {
        if (!first) out += ", ";
        first = false;
        append(out, item);
      }
      out += value.is_set() ? "}" : "]";
      return;
    }
    case Type::kObject: {
      out += "{";
      bool first = true;
      for (const Entry& entry : value.entries()) {
        if (!first) out += ", ";
        first = false;
        append(out, entry.key);
        out += ": ";
        append(out, entry.value);
      }
      out += "}";
      return;
    }
  }
}

}  // namespace

std::string to_rego(const Value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::string to_display(const Value& value) {
  if (value.is_string()) return std::string(value.as_string());
  return to_rego(value);
}

}  // namespace coffer::policy
