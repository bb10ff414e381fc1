// What the parsers of queries and of schemas share: tokens, names, values, types, directives.
//
// An error is remembered and ends every loop (failed()); productions return what they have, which
// finish() then throws away. This keeps the grammar readable.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/builtins/graphql/lexer.h"
#include "policy/value/value.h"

namespace coffer::policy::graphql {

// Builds one node of the tree; leaves out what is null or an empty list.
class Node {
 public:
  Node& set(std::string_view key, Value value);
  Node& text(std::string_view key, std::string_view value) {
    return set(key, Value::string(value));
  }
  Node& list(std::string_view key, std::vector<Value> items);
  [[nodiscard]] Value build() { return builder_.build(); }

 private:
  ObjectBuilder builder_;
};

class ParserBase {
 protected:
  explicit ParserBase(std::string_view text) : lexer_(text), token_(lexer_.next()) {}

  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] const Token& peek() const { return token_; }
  [[nodiscard]] bool at(std::string_view punctuator) const;
  [[nodiscard]] bool at_keyword(std::string_view word) const;
  [[nodiscard]] bool at_end() const { return token_.kind == Kind::kEnd; }
  Token take();
  bool skip(std::string_view punctuator);
  bool skip_keyword(std::string_view word);
  void expect(std::string_view punctuator);
  void expect_keyword(std::string_view word);
  std::string name();

  void fail_at(const Token& token, std::string message);
  void unexpected(const Token& token);

  // "open item... close"; with `least_one`, an empty list is an error.
  std::vector<Value> items(std::string_view open, std::string_view close, bool least_one,
                           const std::function<Value()>& item);
  // The same, absent when `open` does not stand here.
  std::vector<Value> optional_items(std::string_view open, std::string_view close,
                                    const std::function<Value()>& item);

  Value value_literal(bool constant);
  Value type_reference();
  std::vector<Value> directives(bool constant);
  std::vector<Value> arguments(bool constant);

  Result<Value> finish(Value document);

 private:
  Value list_literal(bool constant);
  Value object_literal(bool constant);
  bool enter();

  Lexer lexer_;
  Token token_;
  std::optional<std::string> error_;
  int depth_ = 0;

 protected:
  // Counts nesting; false (and an error) past the limit. Pair with leave().
  bool descend() { return enter(); }
  void leave() { --depth_; }
};

}  // namespace coffer::policy::graphql
