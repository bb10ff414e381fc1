// Tokens of GraphQL documents (specification October 2021, section 2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::policy::graphql {

enum class Kind : std::uint8_t {
  kEnd,
  kInvalid,
  kPunctuator,  // text holds it: "!", "...", "{" and so on
  kName,
  kInt,
  kFloat,
  kString,
  kBlockString
};

struct Token {
  Kind kind = Kind::kEnd;
  std::string text;  // of strings the value, else what stands in the document
  std::size_t line = 1, column = 1;

  // As messages name it: `Name "foo"`, `String "x"`, `{`, `<EOF>`.
  [[nodiscard]] std::string describe() const;
};

class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  // kInvalid with the cause in `text` when there is no token here; kEnd at the end, again and
  // again.
  [[nodiscard]] Token next();

 private:
  void skip_ignored();
  [[nodiscard]] char peek(std::size_t ahead = 0) const;
  [[nodiscard]] Token number(Token token);
  [[nodiscard]] Token string(Token token);
  [[nodiscard]] Token block_string(Token token);
  [[nodiscard]] bool escape(std::string& out);
  [[nodiscard]] Token invalid(Token token) const;

  std::string_view text_;
  std::size_t at_ = 0, line_ = 1, line_start_ = 0;
};

}  // namespace coffer::policy::graphql
