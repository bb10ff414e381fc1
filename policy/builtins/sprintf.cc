// sprintf: Go's fmt verbs on Rego values. Strings and numbers are themselves; everything else is
// its text in Rego notation, as OPA passes it.

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>

#include "base/bytes.h"
#include "policy/builtins/families.h"
#include "policy/builtins/registry.h"
#include "policy/value/json.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

// Widths and precisions past this only make padding.
constexpr int kMaxWidth = 10'000;

struct Spec {
  bool minus = false, plus = false, sharp = false, zero = false, space = false;
  std::optional<int> width, precision;
  char32_t verb = 0;
};

// An argument as Go's fmt sees it.
struct Argument {
  enum class Kind : std::uint8_t { kString, kInteger, kFloat, kBoolean } kind = Kind::kString;
  std::string text;  // a string, or an integer's decimal digits with a sign
  double number = 0;
  bool big = false;  // an integer past 64 bits
};

Argument classify(const Value& value) {
  Argument argument;
  if (value.is_string()) {
    argument.text = value.as_string();
  } else if (value.is_number()) {
    if (const auto integer = to_bigint(value)) {
      argument.kind = Argument::Kind::kInteger;
      argument.text = integer->to_decimal();
      argument.big = !integer->to_int64().has_value();
    } else {
      argument.kind = Argument::Kind::kFloat;
      argument.number = to_double(value);
    }
  } else if (value.is_boolean()) {
    argument.kind = Argument::Kind::kBoolean;
    argument.text = value.as_bool() ? "true" : "false";
  } else {
    argument.text = to_rego(value);
  }
  return argument;
}

// Go's %v of a float64: shortest digits, an exponent below 1e-4 and from 1e21 on.
std::string shortest_float(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Inf" : "+Inf";
  std::array<char, 400> buffer{};
  const double magnitude = std::fabs(number);
  const bool exponent = number != 0 && (magnitude < 1e-4 || magnitude >= 1e21);
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                    exponent ? std::chars_format::scientific : std::chars_format::fixed)
          .ptr;
  return {buffer.data(), end};
}

std::string_view type_of(const Argument& argument) {
  switch (argument.kind) {
    case Argument::Kind::kInteger:
      return argument.big ? "big.Int" : "int";
    case Argument::Kind::kFloat:
      return "float64";
    case Argument::Kind::kBoolean:
    case Argument::Kind::kString:
      return "string";
  }
  return "string";
}

std::string plain_text(const Argument& argument) {
  return argument.kind == Argument::Kind::kFloat ? shortest_float(argument.number) : argument.text;
}

std::string bad_verb(const Spec& spec, const Argument& argument) {
  std::string out = "%!";
  append_rune(out, spec.verb);
  return out + fmt::format("({}={})", type_of(argument), plain_text(argument));
}

std::string pad(const Spec& spec, std::string text, bool numeric) {
  const auto width = static_cast<std::size_t>(spec.width.value_or(0));
  const std::size_t length = count_runes(text);
  if (length >= width) return text;
  const std::string fill(width - length, ' ');
  if (spec.minus) return text + fill;
  if (!spec.zero) return fill + text;
  const std::string zeros(width - length, '0');
  if (numeric && !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ')) {
    return text.substr(0, 1) + zeros + text.substr(1);
  }
  return zeros + text;
}

std::string integer_text(const Spec& spec, const Argument& argument, unsigned base) {
  const auto value = BigInt::parse(argument.text);
  std::string digits = value->abs().to_base(base);
  if (spec.verb == U'X') {
    for (char& c : digits) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  const auto precision = static_cast<std::size_t>(spec.precision.value_or(0));
  if (digits.size() < precision) digits.insert(0, precision - digits.size(), '0');
  if (spec.sharp && base == 16) digits.insert(0, spec.verb == U'X' ? "0X" : "0x");
  if (spec.sharp && base == 8) digits.insert(0, "0");
  if (spec.sharp && base == 2) digits.insert(0, "0b");
  if (value->is_negative()) return "-" + digits;
  if (spec.plus) return "+" + digits;
  return spec.space ? " " + digits : digits;
}

std::string float_text(const Spec& spec, const Argument& argument) {
  const auto verb = static_cast<char>(spec.verb);
  const double number = argument.number;
  std::string text;
  if (!spec.precision && (verb == 'g' || verb == 'G' || verb == 'v')) {
    text = shortest_float(number);
  } else {
    const std::string format = fmt::format("%.{}{}", spec.precision.value_or(6),
                                           verb == 'v' ? 'g' : (verb == 'F' ? 'f' : verb));
    std::array<char, 512> buffer{};
    // The format is made above from a checked verb and a bounded precision.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    const int length = std::snprintf(buffer.data(), buffer.size(), format.c_str(), number);
#pragma GCC diagnostic pop
    text.assign(buffer.data(), static_cast<std::size_t>(
                                   std::min<int>(length, static_cast<int>(buffer.size()) - 1)));
  }
  if (spec.plus && !text.starts_with('-') && !text.starts_with('+')) text.insert(0, "+");
  return text;
}

std::string hex_of_text(std::string_view text, bool upper) {
  std::string hex = to_hex(as_bytes(text));
  if (upper) {
    for (char& c : hex) c = c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return hex;
}

std::string format_string(const Spec& spec, const Argument& argument) {
  std::string text = argument.text;
  if (spec.precision) {
    std::string cut;
    std::string_view rest = text;
    for (int i = 0; i < *spec.precision && !rest.empty(); ++i) {
      const Rune rune = decode_rune(rest);
      cut += rest.substr(0, rune.width);
      rest.remove_prefix(rune.width);
    }
    text = cut;
  }
  switch (spec.verb) {
    case U's':
    case U'v':
      return pad(spec, text, false);
    case U'q': {
      std::string quoted;
      append_json_string(quoted, text);
      return pad(spec, quoted, false);
    }
    case U'x':
    case U'X':
      return pad(spec, hex_of_text(text, spec.verb == U'X'), false);
    default:
      return bad_verb(spec, argument);
  }
}

std::string format_integer(const Spec& spec, const Argument& argument) {
  switch (spec.verb) {
    case U'd':
    case U'v':
      return pad(spec, integer_text(spec, argument, 10), true);
    case U'x':
    case U'X':
      return pad(spec, integer_text(spec, argument, 16), true);
    case U'o':
    case U'O':
      return pad(spec, integer_text(spec, argument, 8), true);
    case U'b':
      return pad(spec, integer_text(spec, argument, 2), true);
    case U's':
      // A big.Int has a String method, an int has not.
      return argument.big ? pad(spec, argument.text, false) : bad_verb(spec, argument);
    case U'c':
    case U'q':
    case U'U': {
      const auto code = BigInt::parse(argument.text)->to_int64();
      const bool valid = code && *code >= 0 && *code <= 0x10FFFF;
      if (spec.verb == U'U') return pad(spec, fmt::format("U+{:04X}", code.value_or(0)), false);
      std::string rune;
      append_rune(rune, valid ? static_cast<char32_t>(*code) : U'\uFFFD');
      return pad(spec, spec.verb == U'c' ? rune : "'" + rune + "'", false);
    }
    default:
      return bad_verb(spec, argument);
  }
}

std::string format_argument(const Spec& spec, const Argument& argument) {
  constexpr std::string_view kFloatVerbs = "eEfFgGv";
  if (spec.verb == U'T') return pad(spec, std::string(type_of(argument)), false);
  switch (argument.kind) {
    case Argument::Kind::kInteger:
      return format_integer(spec, argument);
    case Argument::Kind::kFloat:
      if (spec.verb < 128 &&
          kFloatVerbs.find(static_cast<char>(spec.verb)) != std::string_view::npos) {
        return pad(spec, float_text(spec, argument), true);
      }
      return bad_verb(spec, argument);
    case Argument::Kind::kBoolean:
      if (spec.verb == U't') return pad(spec, argument.text, false);
      return format_string(spec, argument);
    case Argument::Kind::kString:
      return format_string(spec, argument);
  }
  return {};
}

class Formatter {
 public:
  Formatter(std::string_view format, std::span<const Value> args) : rest_(format), args_(args) {}

  std::string run() {
    while (!rest_.empty()) {
      const auto percent = rest_.find('%');
      out_ += rest_.substr(0, percent);
      if (percent == std::string_view::npos) break;
      rest_.remove_prefix(percent + 1);
      directive();
    }
    if (next_ < args_.size()) extra();
    return std::move(out_);
  }

 private:
  void directive() {
    Spec spec;
    for (; !rest_.empty(); rest_.remove_prefix(1)) {
      const char c = rest_[0];
      if (c == '-') {
        spec.minus = true;
      } else if (c == '+') {
        spec.plus = true;
      } else if (c == '#') {
        spec.sharp = true;
      } else if (c == '0') {
        spec.zero = true;
      } else if (c == ' ') {
        spec.space = true;
      } else {
        break;
      }
    }
    spec.width = number();
    if (rest_.starts_with('.')) {
      rest_.remove_prefix(1);
      spec.precision = number().value_or(0);
    }
    if (rest_.empty()) {
      out_ += "%!(NOVERB)";
      return;
    }
    const Rune rune = decode_rune(rest_);
    rest_.remove_prefix(rune.width);
    spec.verb = rune.code;
    if (spec.verb == U'%') {
      out_ += '%';
    } else if (next_ >= args_.size()) {
      out_ += "%!";
      append_rune(out_, spec.verb);
      out_ += "(MISSING)";
    } else {
      out_ += format_argument(spec, classify(args_[next_++]));
    }
  }

  // Digits or "*"; a "*" takes an integer argument.
  std::optional<int> number() {
    if (rest_.starts_with('*')) {
      rest_.remove_prefix(1);
      const auto given =
          next_ < args_.size() && args_[next_].is_number() ? to_int64(args_[next_]) : std::nullopt;
      ++next_;
      if (!given || *given < 0 || *given > kMaxWidth) {
        out_ += "%!(BADWIDTH)";
        return std::nullopt;
      }
      return static_cast<int>(*given);
    }
    std::optional<int> value;
    while (!rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9') {
      value = std::min(value.value_or(0) * 10 + (rest_[0] - '0'), kMaxWidth);
      rest_.remove_prefix(1);
    }
    return value;
  }

  void extra() {
    out_ += "%!(EXTRA ";
    for (std::size_t i = next_; i < args_.size(); ++i) {
      const Argument argument = classify(args_[i]);
      out_ +=
          fmt::format("{}{}={}", i > next_ ? ", " : "", type_of(argument), plain_text(argument));
    }
    out_ += ")";
  }

  std::string_view rest_;
  std::span<const Value> args_;
  std::size_t next_ = 0;
  std::string out_;
};

Result<Value> sprintf_builtin(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const auto format, string_operand(args, 1));
  COFFER_TRY_VOID(require_type(args, 2, Type::kArray));
  const std::string text = Formatter(format, args[1].items()).run();
  COFFER_TRY_VOID(context.check_size(text.size(), "sprintf"));
  return Value::string(text);
}

constexpr std::array<Builtin, 1> kBuiltins = {{{"sprintf", 2, sprintf_builtin}}};

}  // namespace

std::span<const Builtin> sprintf_builtins() { return kBuiltins; }

}  // namespace coffer::policy
