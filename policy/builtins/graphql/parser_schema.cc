// Type system documents (section 3).

#include <algorithm>

#include "policy/builtins/graphql/parser.h"
#include "policy/builtins/graphql/parser_base.h"

namespace coffer::policy::graphql {
namespace {

constexpr std::string_view kLocations[] = {"QUERY",
                                           "MUTATION",
                                           "SUBSCRIPTION",
                                           "FIELD",
                                           "FRAGMENT_DEFINITION",
                                           "FRAGMENT_SPREAD",
                                           "INLINE_FRAGMENT",
                                           "VARIABLE_DEFINITION",
                                           "SCHEMA",
                                           "SCALAR",
                                           "OBJECT",
                                           "FIELD_DEFINITION",
                                           "ARGUMENT_DEFINITION",
                                           "INTERFACE",
                                           "UNION",
                                           "ENUM",
                                           "ENUM_VALUE",
                                           "INPUT_OBJECT",
                                           "INPUT_FIELD_DEFINITION"};

class SchemaParser : ParserBase {
 public:
  explicit SchemaParser(std::string_view text) : ParserBase(text) {}

  Result<Value> parse() {
    while (!failed() && !at_end()) definition();
    return finish(Node()
                      .list("Schema", std::move(schemas_))
                      .list("SchemaExtension", std::move(schema_extensions_))
                      .list("Directives", std::move(directives_))
                      .list("Definitions", std::move(definitions_))
                      .list("Extensions", std::move(extensions_))
                      .build());
  }

 private:
  void definition() {
    const bool described = peek().kind == Kind::kString || peek().kind == Kind::kBlockString;
    const std::string text = description();
    if (at_keyword("extend")) {
      if (described) return unexpected(peek());
      take();
      if (at_keyword("schema")) {
        schema_extensions_.push_back(schema("", true));
      } else {
        extensions_.push_back(type_definition("", true));
      }
    } else if (at_keyword("schema")) {
      schemas_.push_back(schema(text, false));
    } else if (at_keyword("directive")) {
      directives_.push_back(directive_definition(text));
    } else {
      definitions_.push_back(type_definition(text, false));
    }
  }

  std::string description() {
    const bool here = peek().kind == Kind::kString || peek().kind == Kind::kBlockString;
    return here ? take().text : std::string();
  }

  Value schema(const std::string& text, bool extension) {
    take();
    auto applied = directives(true);
    std::vector<Value> operations;
    if (!extension || at("{")) {
      operations = items("{", "}", true, [&] {
        const Token word = peek();
        const std::string operation = name();
        if (!failed() && operation != "query" && operation != "mutation" &&
            operation != "subscription") {
          unexpected(word);
        }
        expect(":");
        return Node().text("Operation", operation).text("Type", name()).build();
      });
    }
    if (extension && applied.empty() && operations.empty()) unexpected(peek());
    return Node()
        .text("Description", text)
        .list("Directives", std::move(applied))
        .list("OperationTypes", std::move(operations))
        .build();
  }

  Value directive_definition(const std::string& text) {
    take();
    expect("@");
    Node node;
    node.text("Description", text).text("Name", name());
    node.list("Arguments", argument_definitions());
    node.set("IsRepeatable", Value::boolean(skip_keyword("repeatable")));
    expect_keyword("on");
    skip("|");
    std::vector<Value> locations;
    do {
      const Token word = peek();
      locations.push_back(Value::string(name()));
      if (!failed() && std::ranges::find(kLocations, word.text) == std::end(kLocations)) {
        unexpected(word);
      }
    } while (!failed() && skip("|"));
    return node.list("Locations", std::move(locations)).build();
  }

  // One of the six kinds of type, or an extension of one.
  Value type_definition(const std::string& text, bool extension) {
    const Token word = peek();
    if (word.kind != Kind::kName) {
      unexpected(word);
      return Value::null();
    }
    Node node;
    node.text("Description", text).set("BuiltIn", Value::boolean(false));
    bool anything = false;
    const auto add = [&](std::string_view key, std::vector<Value> list) {
      anything = anything || !list.empty();
      node.list(key, std::move(list));
    };
    const auto head = [&](std::string_view kind) {
      take();
      node.text("Kind", kind).text("Name", name());
    };
    if (word.text == "scalar") {
      head("SCALAR");
      add("Directives", directives(true));
    } else if (word.text == "type" || word.text == "interface") {
      head(word.text == "type" ? "OBJECT" : "INTERFACE");
      add("Interfaces", interfaces());
      add("Directives", directives(true));
      add("Fields", optional_items("{", "}", [&] { return field_definition(); }));
    } else if (word.text == "union") {
      head("UNION");
      add("Directives", directives(true));
      add("Types", union_members());
    } else if (word.text == "enum") {
      head("ENUM");
      add("Directives", directives(true));
      add("EnumValues", optional_items("{", "}", [&] { return enum_value(); }));
    } else if (word.text == "input") {
      head("INPUT_OBJECT");
      add("Directives", directives(true));
      add("Fields", optional_items("{", "}", [&] { return input_value(); }));
    } else {
      unexpected(word);
    }
    if (extension && !failed() && !anything) unexpected(peek());
    return node.build();
  }

  std::vector<Value> interfaces() {
    std::vector<Value> found;
    if (!skip_keyword("implements")) return found;
    skip("&");
    do {
      found.push_back(Value::string(name()));
    } while (!failed() && skip("&"));
    return found;
  }

  std::vector<Value> union_members() {
    std::vector<Value> found;
    if (!skip("=")) return found;
    skip("|");
    do {
      found.push_back(Value::string(name()));
    } while (!failed() && skip("|"));
    return found;
  }

  Value field_definition() {
    Node node;
    node.text("Description", description());
    node.text("Name", name());
    node.list("Arguments", argument_definitions());
    expect(":");
    node.set("Type", type_reference());
    return node.list("Directives", directives(true)).build();
  }

  std::vector<Value> argument_definitions() {
    return optional_items("(", ")", [&] { return input_value(); });
  }

  // An argument's or an input field's definition.
  Value input_value() {
    Node node;
    node.text("Description", description());
    node.text("Name", name());
    expect(":");
    node.set("Type", type_reference());
    if (skip("=")) node.set("DefaultValue", value_literal(true));
    return node.list("Directives", directives(true)).build();
  }

  Value enum_value() {
    Node node;
    node.text("Description", description());
    node.text("Name", name());
    return node.list("Directives", directives(true)).build();
  }

  std::vector<Value> schemas_, schema_extensions_, directives_, definitions_, extensions_;
};

}  // namespace

Result<Value> parse_schema(std::string_view text) { return SchemaParser(text).parse(); }

}  // namespace coffer::policy::graphql
