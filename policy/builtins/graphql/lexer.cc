#include "policy/builtins/graphql/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policy/value/escape.h"
#include "policy/value/utf8.h"

namespace coffer::policy::graphql {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }

std::size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(" \t"), line.size());
}

// Section 2.9.4, BlockStringValue.
std::string block_value(const std::string& raw) {
  std::vector<std::string> lines(1);
  for (const char c : raw) {
    if (c == '\n') {
      lines.emplace_back();
    } else {
      lines.back() += c;
    }
  }
  std::size_t common = std::string::npos;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const std::size_t indent = indentation(lines[i]);
    if (indent < lines[i].size()) common = std::min(common, indent);
  }
  for (std::size_t i = 1; i < lines.size() && common != std::string::npos; ++i) {
    lines[i].erase(0, common);
  }
  const auto blank = [](const std::string& line) { return indentation(line) == line.size(); };
  while (!lines.empty() && blank(lines.front())) lines.erase(lines.begin());
  while (!lines.empty() && blank(lines.back())) lines.pop_back();
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace

std::string Token::describe() const {
  switch (kind) {
    case Kind::kEnd:
      return "<EOF>";
    case Kind::kInvalid:
      return "<Invalid>";
    case Kind::kPunctuator:
      return text;
    case Kind::kName:
      return fmt::format("Name \"{}\"", text);
    case Kind::kInt:
      return fmt::format("Int \"{}\"", text);
    case Kind::kFloat:
      return fmt::format("Float \"{}\"", text);
    case Kind::kString:
      return fmt::format("String \"{}\"", text);
    case Kind::kBlockString:
      return fmt::format("BlockString \"{}\"", text);
  }
  return text;
}

char Lexer::peek(std::size_t ahead) const {
  return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
}

void Lexer::skip_ignored() {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == ' ' || c == '\t' || c == ',') {
      ++at_;
    } else if (c == '\n' || c == '\r') {
      at_ += c == '\r' && peek(1) == '\n' ? std::size_t{2} : std::size_t{1};
      ++line_;
      line_start_ = at_;
    } else if (c == '#') {
      at_ = std::min(text_.find_first_of("\n\r", at_), text_.size());
    } else if (text_.substr(at_).starts_with(kByteOrderMark)) {
      at_ += kByteOrderMark.size();
    } else {
      return;
    }
  }
}

Token Lexer::invalid(Token token) const {
  token.kind = Kind::kInvalid;
  token.line = line_;
  token.column = count_runes(text_.substr(line_start_, at_ - line_start_)) + 1;
  return token;
}

Token Lexer::next() {
  skip_ignored();
  Token token;
  token.line = line_;
  token.column = count_runes(text_.substr(line_start_, at_ - line_start_)) + 1;
  if (at_ >= text_.size()) return token;
  const char c = text_[at_];
  constexpr std::string_view kPunctuators = "!$&()=:@[]{}|";
  if (kPunctuators.find(c) != std::string_view::npos) {
    token.kind = Kind::kPunctuator;
    token.text = c;
    ++at_;
  } else if (text_.substr(at_).starts_with("...")) {
    token.kind = Kind::kPunctuator;
    token.text = "...";
    at_ += 3;
  } else if (starts_name(c)) {
    token.kind = Kind::kName;
    while (starts_name(peek()) || is_digit(peek())) token.text += text_[at_++];
  } else if (is_digit(c) || c == '-') {
    return number(std::move(token));
  } else if (text_.substr(at_).starts_with("\"\"\"")) {
    return block_string(std::move(token));
  } else if (c == '"') {
    return string(std::move(token));
  } else {
    return invalid(std::move(token));
  }
  return token;
}

Token Lexer::number(Token token) {
  const std::size_t start = at_;
  const auto digits = [this] {
    const std::size_t first = at_;
    while (is_digit(peek())) ++at_;
    return at_ > first;
  };
  token.kind = Kind::kInt;
  if (peek() == '-') ++at_;
  const bool zero = peek() == '0';
  if (!digits() ||
      (zero && is_digit(text_[at_ - 1]) && at_ - start > (text_[start] == '-' ? 2U : 1U))) {
    return invalid(std::move(token));
  }
  if (peek() == '.') {
    token.kind = Kind::kFloat;
    ++at_;
    if (!digits()) return invalid(std::move(token));
  }
  if (peek() == 'e' || peek() == 'E') {
    token.kind = Kind::kFloat;
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    if (!digits()) return invalid(std::move(token));
  }
  token.text = text_.substr(start, at_ - start);
  return token;
}

bool Lexer::escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const auto index = kNames.find(peek());
  if (index != std::string_view::npos && peek() != '\0') {
    out += kMeanings[index];
    ++at_;
    return true;
  }
  if (peek() != 'u') return false;
  const auto code = hex4(text_.substr(std::min(at_ + 1, text_.size())));
  if (!code) return false;
  append_rune(out, *code);
  at_ += 5;
  return true;
}

Token Lexer::string(Token token) {
  token.kind = Kind::kString;
  ++at_;
  while (at_ < text_.size() && peek() != '"') {
    const auto byte = static_cast<std::uint8_t>(peek());
    if (byte < 0x20 && byte != '\t') return invalid(std::move(token));
    if (peek() == '\\') {
      ++at_;
      if (!escape(token.text)) return invalid(std::move(token));
    } else {
      token.text += text_[at_++];
    }
  }
  if (at_ >= text_.size()) return invalid(std::move(token));
  ++at_;
  return token;
}

Token Lexer::block_string(Token token) {
  token.kind = Kind::kBlockString;
  at_ += 3;
  std::string raw;
  while (at_ < text_.size()) {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("\"\"\"")) {
      at_ += 3;
      token.text = block_value(raw);
      return token;
    }
    if (rest.starts_with("\\\"\"\"")) {
      raw += "\"\"\"";
      at_ += 4;
    } else if (rest[0] == '\n' || rest[0] == '\r') {
      at_ += rest.starts_with("\r\n") ? std::size_t{2} : std::size_t{1};
      ++line_;
      line_start_ = at_;
      raw += '\n';
    } else {
      raw += rest[0];
      ++at_;
    }
  }
  return invalid(std::move(token));
}

}  // namespace coffer::policy::graphql
