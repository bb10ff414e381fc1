// glob.match and glob.quote_meta. A pattern becomes a regular expression, so that matching is
// linear in the text and shares the cache of compiled patterns.

#include <re2/re2.h>

#include <array>
#include <optional>

#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

void append_quoted(std::string& out, std::string_view rune) {
  out += RE2::QuoteMeta(re2::StringPiece(rune.data(), rune.size()));
}

// Translates one pattern. Depth of {} is bounded by a counter: nothing recurses.
class Translator {
 public:
  explicit Translator(const std::string& delimiters) {
    if (delimiters.empty()) {
      any_but_delimiter_ = "(?s:.)";
    } else {
      any_but_delimiter_ = "[^" + delimiters + "]";
    }
  }

  // nullopt when brackets or braces do not close.
  std::optional<std::string> translate(std::string_view pattern) {
    rest_ = pattern;
    while (!rest_.empty()) {
      if (!step(take())) return std::nullopt;
    }
    if (braces_ != 0) return std::nullopt;
    return out_;
  }

 private:
  std::string_view take() {
    const Rune rune = decode_rune(rest_);
    const std::string_view text = rest_.substr(0, rune.width);
    rest_.remove_prefix(rune.width);
    return text;
  }

  bool step(std::string_view rune) {
    if (rune == "\\") {
      if (rest_.empty()) return false;
      append_quoted(out_, take());
    } else if (rune == "*") {
      if (rest_.starts_with('*')) {
        while (rest_.starts_with('*')) rest_.remove_prefix(1);
        out_ += "(?s:.)*";
      } else {
        out_ += any_but_delimiter_ + "*";
      }
    } else if (rune == "?") {
      out_ += any_but_delimiter_;
    } else if (rune == "[") {
      return character_class();
    } else if (rune == "{") {
      ++braces_;
      out_ += "(?:";
    } else if (rune == "}") {
      if (braces_ == 0) return false;
      --braces_;
      out_ += ")";
    } else if (rune == "," && braces_ > 0) {
      out_ += "|";
    } else {
      append_quoted(out_, rune);
    }
    return true;
  }

  bool character_class() {
    std::string body;
    const bool negated = rest_.starts_with('!');
    if (negated) rest_.remove_prefix(1);
    while (!rest_.empty()) {
      std::string_view rune = take();
      if (rune == "]") {
        if (body.empty()) return false;
        out_ += (negated ? "[^" : "[") + body + "]";
        return true;
      }
      if (rune == "-" && !body.empty() && !rest_.empty() && !rest_.starts_with(']')) {
        body += "-";
        continue;
      }
      if (rune == "\\") {
        if (rest_.empty()) return false;
        rune = take();
      }
      append_quoted(body, rune);
    }
    return false;
  }

  std::string any_but_delimiter_;
  std::string_view rest_;
  std::string out_;
  int braces_ = 0;
};

// The delimiters as the inside of a character class; "" for none.
Result<std::string> delimiters_operand(std::span<const Value> args) {
  if (args[1].is_null()) return std::string();
  COFFER_TRY_VOID(require_type(args, 2, Type::kArray));
  if (args[1].size() == 0) return std::string("\\.");
  std::string out;
  for (const Value& delimiter : args[1].items()) {
    if (!delimiter.is_string()) {
      return type_error("operand 2 must be array of strings");
    }
    if (count_runes(delimiter.as_string()) != 1) {
      return builtin_error("delimiters must be single characters");
    }
    append_quoted(out, delimiter.as_string());
  }
  return out;
}

Result<Value> match(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto pattern, string_operand(args, 1));
  COFFER_TRY(const std::string delimiters, delimiters_operand(args));
  COFFER_TRY(const auto text, string_operand(args, 3));
  const auto regex = Translator(delimiters).translate(pattern);
  if (!regex) return builtin_error("'" + std::string(pattern) + "' is no glob pattern");
  std::string error;
  const re2::RE2* compiled = context.regex->get(Value::string(*regex), error);
  if (compiled == nullptr) return builtin_error(error);
  return Value::boolean(re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *compiled));
}

Result<Value> quote_meta(BuiltinContext& /*context*/, std::span<const Value> args) {
  COFFER_TRY(const auto text, string_operand(args, 1));
  constexpr std::string_view kMeta = "*?\\[]{}";
  std::string out;
  for (const char c : text) {
    if (kMeta.find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return Value::string(out);
}

constexpr std::array<Builtin, 2> kBuiltins = {{
    {"glob.match", 3, match},
    {"glob.quote_meta", 1, quote_meta},
}};

}  // namespace

std::span<const Builtin> glob_builtins() { return kBuiltins; }

}  // namespace coffer::policy
