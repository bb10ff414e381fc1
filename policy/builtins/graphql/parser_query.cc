// Executable documents: operations and fragments (section 2.2 to 2.12).

#include "policy/builtins/graphql/parser.h"
#include "policy/builtins/graphql/parser_base.h"

namespace coffer::policy::graphql {
namespace {

class QueryParser : ParserBase {
 public:
  explicit QueryParser(std::string_view text) : ParserBase(text) {}

  Result<Value> parse() {
    std::vector<Value> operations;
    std::vector<Value> fragments;
    while (!failed() && !at_end()) {
      if (at_keyword("fragment")) {
        fragments.push_back(fragment());
      } else {
        operations.push_back(operation());
      }
    }
    return finish(Node()
                      .list("Operations", std::move(operations))
                      .list("Fragments", std::move(fragments))
                      .build());
  }

 private:
  Value operation() {
    Node node;
    if (at("{")) {
      return node.text("Operation", "query")
          .text("Name", "")
          .list("SelectionSet", selections())
          .build();
    }
    if (!at_keyword("query") && !at_keyword("mutation") && !at_keyword("subscription")) {
      unexpected(peek());
      return Value::null();
    }
    node.text("Operation", take().text);
    node.text("Name", peek().kind == Kind::kName ? name() : "");
    node.list("VariableDefinitions", variables());
    node.list("Directives", directives(false));
    node.list("SelectionSet", selections());
    return node.build();
  }

  std::vector<Value> variables() {
    return optional_items("(", ")", [&] {
      Node node;
      expect("$");
      node.text("Variable", name());
      expect(":");
      node.set("Type", type_reference());
      if (skip("=")) node.set("DefaultValue", value_literal(true));
      node.list("Directives", directives(false));
      return node.set("Used", Value::boolean(false)).build();
    });
  }

  std::vector<Value> selections() {
    if (!descend()) return {};
    auto found = items("{", "}", true, [&] { return at("...") ? spread() : field(); });
    leave();
    return found;
  }

  Value field() {
    Node node;
    std::string alias = name();
    std::string field_name = alias;
    if (skip(":")) field_name = name();
    node.text("Alias", alias).text("Name", field_name);
    node.list("Arguments", arguments(false)).list("Directives", directives(false));
    if (at("{")) node.list("SelectionSet", selections());
    return node.build();
  }

  Value spread() {
    take();
    Node node;
    if (peek().kind == Kind::kName && peek().text != "on") {
      node.text("Name", take().text);
      return node.list("Directives", directives(false)).build();
    }
    node.text("TypeCondition", skip_keyword("on") ? name() : "");
    node.list("Directives", directives(false));
    return node.list("SelectionSet", selections()).build();
  }

  Value fragment() {
    take();
    Node node;
    if (at_keyword("on")) unexpected(peek());
    node.text("Name", name());
    node.list("VariableDefinition", variables());
    expect_keyword("on");
    node.text("TypeCondition", name());
    node.list("Directives", directives(false));
    return node.list("SelectionSet", selections()).build();
  }
};

}  // namespace

Result<Value> parse_query(std::string_view text) { return QueryParser(text).parse(); }

}  // namespace coffer::policy::graphql
