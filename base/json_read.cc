#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "base/json_plain.h"
#include "base/utf8.h"

namespace coffer {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::uint32_t kFirstHighSurrogate = 0xD800;
constexpr std::uint32_t kFirstLowSurrogate = 0xDC00;
constexpr std::uint32_t kAfterSurrogates = 0xE000;
constexpr std::uint32_t kFirstPastTwoBytes = 0x10000;
constexpr std::size_t kMostShown = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](unsigned shift) { put(0x80U | ((code >> shift) & 0x3FU)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0U | (code >> 6U));
    return tail(0);
  }
  if (code < kFirstPastTwoBytes) {
    put(0xE0U | (code >> 12U));
    tail(6);
    return tail(0);
  }
  put(0xF0U | (code >> 18U));
  tail(12);
  tail(6);
  tail(0);
}

// One pass over the text, straight into the tree. nlohmann's own reader takes each byte through a
// state machine and each value through a handler, at several times the cost.
class Reader {
 public:
  Reader(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  bool document(Json& out) {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    if (!value(out, 0)) return false;
    skip_space();
    return at_ == text_.size() || give_up("text after the value");
  }
  // Why it ended, and where.
  [[nodiscard]] const std::string& fault() const { return fault_; }
  [[nodiscard]] std::size_t offset() const { return at_; }

 private:
  bool give_up(std::string why) {
    fault_ = std::move(why);
    return false;
  }

  // No byte of a valid text's structure is zero.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
      ++at_;
    }
  }

  bool take(char expected) {
    if (peek() != expected) return false;
    ++at_;
    return true;
  }

  bool word(std::string_view expected, Json& out, Json meaning) {
    if (text_.substr(at_, expected.size()) != expected) return give_up("want a value");
    at_ += expected.size();
    out = std::move(meaning);
    return true;
  }

  // Recursion is bounded by the limit of depth.
  bool value(Json& out, std::size_t depth) {
    skip_space();
    switch (peek()) {
      case '{':
        return enter(depth) && object(out, depth + 1);
      case '[':
        return enter(depth) && array(out, depth + 1);
      case '"': {
        std::string text;
        if (!string(text)) return false;
        out = std::move(text);
        return true;
      }
      case 't':
        return word("true", out, true);
      case 'f':
        return word("false", out, false);
      case 'n':
        return word("null", out, nullptr);
      default:
        return number(out);
    }
  }

  bool enter(std::size_t depth) {
    if (depth < limits_.max_depth) return true;
    return give_up(fmt::format("nested deeper than {} levels", limits_.max_depth));
  }

  // Of lists_as_bytes. False: it is another list, and nothing was taken.
  bool byte_list(Json& out) {
    constexpr unsigned kMost = 0xFF;
    constexpr std::size_t kUsual = 64;
    Json::binary_t::container_type bytes;
    bytes.reserve(kUsual);
    const std::size_t start = at_++;
    while (true) {
      skip_space();
      const bool zero = peek() == '0';
      unsigned value = 0;
      std::size_t digits = 0;
      for (; is_digit(peek()) && digits < 3; ++digits, ++at_) {
        value = value * 10 + static_cast<unsigned>(peek() - '0');
      }
      skip_space();
      const bool last = peek() == ']';
      if (digits == 0 || (zero && digits > 1) || value > kMost || (!last && peek() != ',')) break;
      bytes.push_back(static_cast<std::uint8_t>(value));
      ++at_;
      if (!last) continue;
      out = Json::binary(std::move(bytes));
      return true;
    }
    at_ = start;
    return false;
  }

  bool array(Json& out, std::size_t depth) {
    if (limits_.lists_as_bytes && byte_list(out)) return true;
    ++at_;
    out = Json::array();
    auto& items = out.get_ref<Json::array_t&>();
    skip_space();
    if (take(']')) return true;
    while (true) {
      if (!value(items.emplace_back(), depth)) return false;
      skip_space();
      if (take(',')) continue;
      return take(']') || give_up("want ',' or ']'");
    }
  }

  bool object(Json& out, std::size_t depth) {
    ++at_;
    out = Json::object();
    auto& members = out.get_ref<Json::object_t&>();
    skip_space();
    if (take('}')) return true;
    while (true) {
      skip_space();
      const std::size_t start = at_;
      std::string key;
      if (peek() != '"') return give_up("want a member's name");
      if (!string(key)) return false;
      const std::size_t before = members.size();
      // Most writers sort: the next one stands last.
      const auto member = members.try_emplace(members.end(), std::move(key));
      if (members.size() == before && limits_.refuse_duplicate_keys) {
        at_ = start;
        // An error ends in logs and replies: a long key is not repeated there.
        const bool shown = member->first.size() <= kMostShown;
        return give_up(shown ? fmt::format("key '{}' stands twice", member->first)
                             : fmt::format("a key of {} bytes stands twice", member->first.size()));
      }
      skip_space();
      if (!take(':')) return give_up("want ':'");
      if (!value(member->second, depth)) return false;
      skip_space();
      if (take(',')) continue;
      return take('}') || give_up("want ',' or '}'");
    }
  }

  bool string(std::string& out) {
    const std::size_t start = ++at_;
    at_ = json_detail::end_of_plain(text_, at_);
    out.assign(text_, start, at_ - start);
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (take('"')) return true;
      if (c == '\\') {
        if (!escape(out)) return false;
      } else if (static_cast<unsigned char>(c) < 0x20U) {
        return give_up("a control character in a string");
      } else {
        const std::size_t length = utf8_sequence_length(text_.substr(at_));
        if (length == 0) return give_up("a string is not UTF-8");
        out.append(text_, at_, length);
        at_ += length;
      }
      const std::size_t plain = at_;
      at_ = json_detail::end_of_plain(text_, at_);
      out.append(text_, plain, at_ - plain);
    }
    return give_up("a string does not end");
  }

  bool escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const std::size_t start = at_++;
    if (!take('u')) {
      const std::size_t which = kNames.find(peek());
      if (which == std::string_view::npos) return give_up("an unknown escape in a string");
      ++at_;
      out += kMeanings[which];
      return true;
    }
    const auto code = code_point();
    if (!code) {
      at_ = start;
      return give_up("a malformed \\u escape, or half a surrogate pair");
    }
    append_utf8(out, *code);
    return true;
  }

  // Behind "\u". Of a surrogate pair both halves.
  std::optional<std::uint32_t> code_point() {
    const auto first = four_digits();
    if (!first || *first < kFirstHighSurrogate || *first >= kAfterSurrogates) return first;
    if (*first >= kFirstLowSurrogate || !take('\\') || !take('u')) return std::nullopt;
    const auto second = four_digits();
    if (!second || *second < kFirstLowSurrogate || *second >= kAfterSurrogates) return std::nullopt;
    return kFirstPastTwoBytes + ((*first - kFirstHighSurrogate) << 10U) +
           (*second - kFirstLowSurrogate);
  }

  std::optional<std::uint32_t> four_digits() {
    const std::string_view digits = text_.substr(at_, 4);
    std::uint32_t code = 0;
    const auto* end = digits.data() + digits.size();
    // from_chars takes a sign only of signed types.
    const auto read = std::from_chars(digits.data(), end, code, 16);
    if (digits.size() != 4 || read.ec != std::errc() || read.ptr != end) return std::nullopt;
    at_ += 4;
    return code;
  }

  std::size_t skip_digits() {
    const std::size_t start = at_;
    while (is_digit(peek())) ++at_;
    return at_ - start;
  }

  // Evidence lists bytes: most numbers are short and natural. False: this one is not.
  bool short_natural(Json& out) {
    constexpr std::size_t kMost = 9;
    const std::string_view rest = text_.substr(at_, kMost + 1);
    std::size_t digits = 0;
    Json::number_unsigned_t value = 0;
    while (digits < rest.size() && is_digit(rest[digits])) {
      value = value * 10 + static_cast<unsigned>(rest[digits++] - '0');
    }
    if (digits == 0 || digits >= rest.size() || (rest[0] == '0' && digits > 1)) return false;
    const char next = rest[digits];
    if (next != ',' && next != ']' && next != '}') return false;
    out = value;
    at_ += digits;
    return true;
  }

  bool number(Json& out) {
    if (short_natural(out)) return true;
    const std::size_t start = at_;
    const bool negative = take('-');
    const bool zero = peek() == '0';
    const std::size_t digits = skip_digits();
    if (digits == 0) return give_up(negative ? "a malformed number" : "want a value");
    if (zero && digits > 1) return give_up("a number with a leading zero");
    bool whole = true;
    if (take('.')) {
      whole = false;
      if (skip_digits() == 0) return give_up("a malformed number");
    }
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (skip_digits() == 0) return give_up("a malformed number");
    }
    const std::string_view literal = text_.substr(start, at_ - start);
    if (whole && negative && integer<Json::number_integer_t>(literal, out)) return true;
    if (whole && !negative && integer<Json::number_unsigned_t>(literal, out)) return true;
    return floating(literal, out);
  }

  // False: it does not fit.
  template <typename T>
  static bool integer(std::string_view literal, Json& out) {
    T value = 0;
    const auto read = std::from_chars(literal.data(), literal.data() + literal.size(), value);
    if (read.ec != std::errc()) return false;
    out = value;
    return true;
  }

  bool floating(std::string_view literal, Json& out) {
    double value = 0;
    const auto read = std::from_chars(literal.data(), literal.data() + literal.size(), value);
    // Too small is zero, or nearly; too large is refused. from_chars says the same of both.
    if (read.ec != std::errc()) value = std::strtod(std::string(literal).c_str(), nullptr);
    if (!std::isfinite(value)) return give_up("a number that no double can hold");
    out = value;
    return true;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  std::size_t at_ = 0;
  std::string fault_;
};

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::string_view what,
                                  const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, the limit is {}", what,
                                                      text.size(), limits.max_bytes));
  }
  Reader reader(text, limits);
  Json out;
  if (reader.document(out)) return out;
  return fail(Code::kInvalidArgument,
              fmt::format("parse {}: byte {}: {}", what, reader.offset(), reader.fault()));
}

}  // namespace coffer
