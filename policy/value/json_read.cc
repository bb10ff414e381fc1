#include <fmt/format.h>

#include <algorithm>

#include "policy/value/escape.h"
#include "policy/value/json.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

class JsonReader {
 public:
  JsonReader(std::string_view text, std::uint32_t max_depth) : text_(text), max_depth_(max_depth) {}

  // Undefined on failure; error() and offset() then say what and where.
  Value document() {
    Value value = element(0);
    if (value.is_undefined()) return {};
    skip_space();
    if (at_ != text_.size()) return give_up("unexpected text after the value");
    return value;
  }
  [[nodiscard]] const char* error() const { return error_; }
  [[nodiscard]] std::size_t offset() const { return at_; }
  [[nodiscard]] bool too_deep() const { return too_deep_; }

 private:
  Value give_up(const char* why) {
    if (error_ == nullptr) error_ = why;
    return {};
  }

  void skip_space() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
      ++at_;
    }
  }

  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  Value word(std::string_view expected, Value value) {
    if (text_.substr(at_, expected.size()) != expected) return give_up("unknown word");
    at_ += expected.size();
    return value;
  }

  // Recursion is bounded by max_depth_.
  Value element(std::uint32_t depth) {
    skip_space();
    switch (peek()) {
      case '{':
        return object(depth + 1);
      case '[':
        return array(depth + 1);
      case '"': {
        std::string_view text;
        if (!string(text)) return {};
        return Value::string(text);
      }
      case 't':
        return word("true", Value::boolean(true));
      case 'f':
        return word("false", Value::boolean(false));
      case 'n':
        return word("null", Value::null());
      default:
        return number();
    }
  }

  Value number() {
    const std::size_t start = at_;
    bool plain = true;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      const bool digit = c >= '0' && c <= '9';
      if (!digit && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E') break;
      plain = plain && digit;
      ++at_;
    }
    const std::string_view literal = text_.substr(start, at_ - start);
    if (literal.empty()) {
      return give_up(at_ == text_.size() ? "unexpected end" : "expected a value");
    }
    if (!plain && !is_json_number(literal)) {
      at_ = start;
      return give_up("malformed number");
    }
    if (plain && literal.size() > 1 && literal.front() == '0') {
      at_ = start;
      return give_up("number with a leading zero");
    }
    return Value::number_from_literal(literal);
  }

  // The view lasts until the next string.
  bool string(std::string_view& out) {
    ++at_;
    const std::size_t start = at_;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        out = text_.substr(start, at_ - start);
        ++at_;
        return true;
      }
      if (c == '\\' || c < 0x20 || c >= 0x80) break;
      ++at_;
    }
    return string_slow(start, out);
  }

  bool string_slow(std::size_t start, std::string_view& out) {
    scratch_.assign(text_.substr(start, at_ - start));
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        out = scratch_;
        return true;
      }
      if (c < 0x20) {
        give_up("control character in a string");
        return false;
      }
      if (c == '\\') {
        ++at_;
        if (!append_escape(text_, at_, scratch_)) {
          give_up("invalid escape in a string");
          return false;
        }
      } else if (c < 0x80) {
        scratch_.push_back(static_cast<char>(c));
        ++at_;
      } else {
        const Rune rune = decode_rune(text_.substr(at_));
        append_rune(scratch_, rune.code);
        at_ += rune.width;
      }
    }
    give_up("unterminated string");
    return false;
  }

  bool enter(std::uint32_t depth) {
    if (depth <= max_depth_) return true;
    too_deep_ = true;
    give_up("nested too deeply");
    return false;
  }

  Value array(std::uint32_t depth) {
    if (!enter(depth)) return {};
    ++at_;
    const std::size_t base = values_.size();
    skip_space();
    if (peek() == ']') {
      ++at_;
      return Value::empty_array();
    }
    while (true) {
      Value item = element(depth);
      if (item.is_undefined()) return {};
      values_.push_back(std::move(item));
      skip_space();
      const char c = peek();
      if (c != ',' && c != ']') return give_up("expected ',' or ']'");
      ++at_;
      if (c == ']') break;
    }
    Value out = Value::array_from(std::span(values_).subspan(base));
    values_.erase(values_.begin() + static_cast<std::ptrdiff_t>(base), values_.end());
    return out;
  }

  Value object(std::uint32_t depth) {
    if (!enter(depth)) return {};
    ++at_;
    const std::size_t base = entries_.size();
    skip_space();
    if (peek() == '}') {
      ++at_;
      return Value::empty_object();
    }
    while (true) {
      skip_space();
      if (peek() != '"') return give_up("expected a key in quotes");
      std::string_view text;
      if (!string(text)) return {};
      Value key = Value::string(text);
      skip_space();
      if (peek() != ':') return give_up("expected ':'");
      ++at_;
      Value value = element(depth);
      if (value.is_undefined()) return {};
      entries_.push_back({std::move(key), std::move(value)});
      skip_space();
      const char c = peek();
      if (c != ',' && c != '}') return give_up("expected ',' or '}'");
      ++at_;
      if (c == '}') break;
    }
    Value out = Value::object_from(std::span(entries_).subspan(base));
    entries_.erase(entries_.begin() + static_cast<std::ptrdiff_t>(base), entries_.end());
    return out;
  }

  std::string_view text_;
  std::uint32_t max_depth_;
  std::size_t at_ = 0;
  const char* error_ = nullptr;
  bool too_deep_ = false;
  std::string scratch_;
  std::vector<Value> values_;
  std::vector<Entry> entries_;
};

}  // namespace

Result<Value> parse_json(std::string_view text, std::string_view what, const JsonOptions& options) {
  if (text.size() > options.max_bytes)
    return fail(Code::kResourceExhausted, fmt::format("parse {}: {} bytes, at most {} are allowed",
                                                      what, text.size(), options.max_bytes));
  JsonReader reader(text, std::min(options.max_depth, kMaxDepth));
  Value value = reader.document();
  if (value.defined()) return value;
  const std::string_view before = text.substr(0, reader.offset());
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t newline = before.rfind('\n');
  const std::size_t column =
      newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  return fail(reader.too_deep() ? Code::kResourceExhausted : Code::kInvalidArgument,
              fmt::format("parse {}: line {} column {}: {}", what, line, column, reader.error()));
}

}  // namespace coffer::policy
