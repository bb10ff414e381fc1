// Rego text to tokens, one at a time; a lexer is a small value that can be copied to try something.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/syntax/source.h"

namespace coffer::policy {

enum class TokenKind : std::uint8_t {
  kEnd,
  kError,     // text says what
  kIdent,     // keywords too
  kNumber,    // text is the literal
  kString,    // text is the decoded content
  kTemplate,  // `$"` or "$`": chunks follow by Lexer::template_chunk
  kPunct,     // text is the mark: "{", ":=", "==", ...
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  Location loc;
  std::uint32_t end = 0;        // offset just past it
  bool space_before = false;    // whitespace or a comment stands before it
  bool newline_before = false;  // a newline among it
  bool raw = false;             // raw template string
};

class Lexer {
 public:
  explicit Lexer(const SourceFile& file) : file_(&file) {}

  [[nodiscard]] Token next();
  // The text of a template string up to its end or the next `{`, which is consumed; `open` says
  // which of the two. False when it is not terminated or malformed; `error` then says why.
  [[nodiscard]] bool template_chunk(bool raw, std::string& text, bool& open, std::string& error);
  [[nodiscard]] char peek_char() const { return at(offset_); }
  [[nodiscard]] Location here() const;

 private:
  [[nodiscard]] char at(std::size_t i) const {
    return i < file_->text.size() ? file_->text[i] : '\0';
  }
  void advance(std::size_t count);
  void skip_blank(Token& token);
  void number(Token& token);
  void string(Token& token);
  void raw_string(Token& token);
  void punctuation(Token& token);
  [[nodiscard]] bool escape(std::string& out, std::string& error);

  const SourceFile* file_;
  std::uint32_t offset_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t line_start_ = 0;
};

}  // namespace coffer::policy
