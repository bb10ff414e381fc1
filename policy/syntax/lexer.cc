#include "policy/syntax/lexer.h"

#include <array>

#include "policy/value/escape.h"
#include "policy/value/number.h"
#include "policy/value/utf8.h"

namespace coffer::policy {
namespace {

bool is_ident_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

void set_error(Token& token, std::string why) {
  token.kind = TokenKind::kError;
  token.text = std::move(why);
}

}  // namespace

Location Lexer::here() const { return {file_, offset_, line_, offset_ - line_start_ + 1}; }

void Lexer::advance(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (at(offset_) == '\n') {
      ++line_;
      line_start_ = offset_ + 1;
    }
    ++offset_;
  }
}

void Lexer::skip_blank(Token& token) {
  while (offset_ < file_->text.size()) {
    const char c = at(offset_);
    if (c == '#') {
      while (offset_ < file_->text.size() && at(offset_) != '\n') ++offset_;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      token.newline_before = token.newline_before || c == '\n';
      advance(1);
    } else {
      return;
    }
    token.space_before = true;
  }
}

Token Lexer::next() {
  Token token;
  skip_blank(token);
  token.loc = here();
  const char c = at(offset_);
  if (offset_ >= file_->text.size()) {
    token.kind = TokenKind::kEnd;
  } else if (is_ident_start(c)) {
    token.kind = TokenKind::kIdent;
    const std::size_t start = offset_;
    while (is_ident_start(at(offset_)) || is_digit(at(offset_))) ++offset_;
    token.text = file_->text.substr(start, offset_ - start);
  } else if (is_digit(c)) {
    number(token);
  } else if (c == '"') {
    string(token);
  } else if (c == '`') {
    raw_string(token);
  } else if (c == '$' && (at(offset_ + 1) == '"' || at(offset_ + 1) == '`')) {
    token.kind = TokenKind::kTemplate;
    token.raw = at(offset_ + 1) == '`';
    advance(2);
  } else {
    punctuation(token);
  }
  token.end = offset_;
  return token;
}

void Lexer::number(Token& token) {
  const std::size_t start = offset_;
  while (is_digit(at(offset_))) ++offset_;
  if (at(offset_) == '.' && is_digit(at(offset_ + 1))) {
    ++offset_;
    while (is_digit(at(offset_))) ++offset_;
  }
  if (at(offset_) == 'e' || at(offset_) == 'E') {
    ++offset_;
    if (at(offset_) == '+' || at(offset_) == '-') ++offset_;
    while (is_digit(at(offset_))) ++offset_;
  }
  while (is_ident_start(at(offset_)) || is_digit(at(offset_))) ++offset_;
  token.kind = TokenKind::kNumber;
  token.text = file_->text.substr(start, offset_ - start);
  if (!is_json_number(token.text)) set_error(token, "illegal number format");
}

bool Lexer::escape(std::string& out, std::string& error) {
  std::size_t at = offset_ + 1;  // behind the backslash
  const bool good = append_escape(file_->text, at, out);
  offset_ = static_cast<std::uint32_t>(at);
  if (!good) error = "illegal escape sequence";
  return good;
}

void Lexer::string(Token& token) {
  token.kind = TokenKind::kString;
  ++offset_;
  while (true) {
    const char c = at(offset_);
    if (offset_ >= file_->text.size() || c == '\n')
      return set_error(token, "non-terminated string");
    if (c == '"') break;
    if (c == '\\') {
      std::string error;
      if (!escape(token.text, error)) return set_error(token, error);
    } else {
      token.text.push_back(c);
      ++offset_;
    }
  }
  ++offset_;
}

void Lexer::raw_string(Token& token) {
  token.kind = TokenKind::kString;
  advance(1);
  while (offset_ < file_->text.size() && at(offset_) != '`') {
    token.text.push_back(at(offset_));
    advance(1);
  }
  if (offset_ >= file_->text.size()) return set_error(token, "non-terminated raw string");
  advance(1);
}

bool Lexer::template_chunk(bool raw, std::string& text, bool& open, std::string& error) {
  text.clear();
  while (offset_ < file_->text.size()) {
    const char c = at(offset_);
    if (c == (raw ? '`' : '"') || c == '{') {
      open = c == '{';
      advance(1);
      return true;
    }
    if (c == '\\' && at(offset_ + 1) == '{') {
      text.push_back('{');
      advance(2);
    } else if (c == '\\' && !raw) {
      if (!escape(text, error)) return false;
    } else if (c == '\n' && !raw) {
      break;
    } else {
      text.push_back(c);
      advance(1);
    }
  }
  error = "non-terminated template string";
  return false;
}

void Lexer::punctuation(Token& token) {
  token.kind = TokenKind::kPunct;
  static constexpr std::array<std::string_view, 5> kPairs = {":=", "==", "!=", "<=", ">="};
  const std::string_view rest = std::string_view(file_->text).substr(offset_);
  for (const std::string_view pair : kPairs) {
    if (!rest.starts_with(pair)) continue;
    token.text = pair;
    offset_ += 2;
    return;
  }
  static constexpr std::string_view kSingles = "{}[]().,;:=<>|&+-*/%";
  if (kSingles.find(rest.front()) != std::string_view::npos) {
    token.text = rest.substr(0, 1);
    ++offset_;
    return;
  }
  offset_ += decode_rune(rest).width;
  set_error(token, "illegal token");
}

}  // namespace coffer::policy
