#include "policy/builtins/graphql/parser_base.h"

#include <fmt/format.h>

#include "policy/builtins/graphql/parser.h"

namespace coffer::policy::graphql {
namespace {

constexpr int kMaxNesting = 200;

Value literal(ValueKind kind, std::string_view raw, std::vector<Value> children = {}) {
  return Node()
      .list("Children", std::move(children))
      .set("ExpectedTypeHasDefault", Value::boolean(false))
      .set("Kind", Value::integer(kind))
      .text("Raw", raw)
      .build();
}

Value child(std::string_view name, Value value) {
  return Node().text("Name", name).set("Value", std::move(value)).build();
}

}  // namespace

Node& Node::set(std::string_view key, Value value) {
  if (value.defined() && !value.is_null()) builder_.add(key, std::move(value));
  return *this;
}

Node& Node::list(std::string_view key, std::vector<Value> items) {
  if (!items.empty()) builder_.add(key, Value::array(std::move(items)));
  return *this;
}

bool ParserBase::at(std::string_view punctuator) const {
  return token_.kind == Kind::kPunctuator && token_.text == punctuator;
}
bool ParserBase::at_keyword(std::string_view word) const {
  return token_.kind == Kind::kName && token_.text == word;
}

Token ParserBase::take() {
  Token taken = std::move(token_);
  // After an error nothing more is read: every loop sees the end.
  token_ = failed() ? Token() : lexer_.next();
  return taken;
}

bool ParserBase::skip(std::string_view punctuator) {
  if (!at(punctuator)) return false;
  take();
  return true;
}
bool ParserBase::skip_keyword(std::string_view word) {
  if (!at_keyword(word)) return false;
  take();
  return true;
}

void ParserBase::fail_at(const Token& token, std::string message) {
  if (!error_) {
    error_ =
        fmt::format("{} in GraphQL string at location {}:{}", message, token.line, token.column);
  }
  token_ = Token();
}

void ParserBase::unexpected(const Token& token) {
  fail_at(token, "Unexpected " + token.describe());
}

void ParserBase::expect(std::string_view punctuator) {
  if (skip(punctuator)) return;
  if (token_.kind == Kind::kInvalid) return unexpected(token_);
  fail_at(token_, fmt::format("Expected {}, found {}", punctuator, token_.describe()));
}
void ParserBase::expect_keyword(std::string_view word) {
  if (skip_keyword(word)) return;
  if (token_.kind == Kind::kInvalid) return unexpected(token_);
  fail_at(token_, fmt::format("Expected \"{}\", found {}", word, token_.describe()));
}

std::string ParserBase::name() {
  if (token_.kind == Kind::kName) return take().text;
  if (token_.kind == Kind::kInvalid) {
    unexpected(token_);
  } else {
    fail_at(token_, fmt::format("Expected Name, found {}", token_.describe()));
  }
  return {};
}

std::vector<Value> ParserBase::items(std::string_view open, std::string_view close, bool least_one,
                                     const std::function<Value()>& item) {
  std::vector<Value> found;
  expect(open);
  if (least_one && at(close)) {
    fail_at(peek(), fmt::format("expected at least one definition, found {}", close));
  }
  while (!failed() && !skip(close)) found.push_back(item());
  return found;
}

std::vector<Value> ParserBase::optional_items(std::string_view open, std::string_view close,
                                              const std::function<Value()>& item) {
  if (!at(open)) return {};
  return items(open, close, true, item);
}

bool ParserBase::enter() {
  if (++depth_ <= kMaxNesting) return true;
  fail_at(token_, "nesting is too deep");
  return false;
}

Value ParserBase::list_literal(bool constant) {
  auto elements = items("[", "]", false, [&] { return child("", value_literal(constant)); });
  return literal(kListValue, "", std::move(elements));
}

Value ParserBase::object_literal(bool constant) {
  auto fields = items("{", "}", false, [&] {
    const std::string key = name();
    expect(":");
    return child(key, value_literal(constant));
  });
  return literal(kObjectValue, "", std::move(fields));
}

Value ParserBase::value_literal(bool constant) {
  if (!descend()) return Value::null();
  Value value = Value::null();
  const Token token = token_;
  if (at("[")) {
    value = list_literal(constant);
  } else if (at("{")) {
    value = object_literal(constant);
  } else if (at("$") && !constant) {
    take();
    value = literal(kVariable, name());
  } else if (token.kind == Kind::kName) {
    take();
    ValueKind kind = kEnumValue;
    if (token.text == "true" || token.text == "false") kind = kBooleanValue;
    if (token.text == "null") kind = kNullValue;
    value = literal(kind, token.text);
  } else if (token.kind >= Kind::kInt) {
    take();
    constexpr ValueKind kKinds[] = {kIntValue, kFloatValue, kStringValue, kBlockValue};
    value =
        literal(kKinds[static_cast<int>(token.kind) - static_cast<int>(Kind::kInt)], token.text);
  } else {
    unexpected(token);
  }
  leave();
  return value;
}

Value ParserBase::type_reference() {
  if (!descend()) return Value::null();
  Node node;
  if (skip("[")) {
    node.set("Elem", type_reference());
    node.text("NamedType", "");
    expect("]");
  } else {
    node.text("NamedType", name());
  }
  node.set("NonNull", Value::boolean(skip("!")));
  leave();
  return node.build();
}

std::vector<Value> ParserBase::arguments(bool constant) {
  return optional_items("(", ")", [&] {
    const std::string argument = name();
    expect(":");
    return child(argument, value_literal(constant));
  });
}

std::vector<Value> ParserBase::directives(bool constant) {
  std::vector<Value> found;
  while (!failed() && skip("@")) {
    const std::string directive = name();
    found.push_back(Node()
                        .text("Name", directive)
                        .list("Arguments", arguments(constant))
                        .text("Location", "")
                        .build());
  }
  return found;
}

Result<Value> ParserBase::finish(Value document) {
  if (error_) return fail(Code::kFailedPrecondition, *error_);
  return document;
}

}  // namespace coffer::policy::graphql
