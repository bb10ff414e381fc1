#include "policy/engine.h"

#include <gtest/gtest.h>

#include "policy/value/json.h"

namespace coffer::policy {
namespace {

Result<Value> answer(const std::string& text, const std::string& path, const Value& input = {},
                     const EvalOptions& options = {}, bool optimise = true) {
  Engine engine({.optimise = optimise});
  COFFER_TRY_VOID(engine.add_module("p.rego", text));
  COFFER_TRY(auto policy, engine.compile());
  Evaluator evaluator(policy);
  return evaluator.rule(path, Value::empty_object(), input, options);
}

TEST(Engine, RefusesWithPlaceAndCause) {
  struct Case {
    std::string text;
    std::string_view want;
  };
  const Case cases[] = {
      {"package a\nx := y", "p.rego:2:6: rego_unsafe_var_error: var y is unsafe"},
      {"package a\np if { not q(z) }\nq(x) if x", "p.rego:2:14: rego_unsafe_var_error: var z is"},
      {"package a\np if q\nq if p", "rego_recursion_error: rule data.a.p is recursive"},
      {"package a\np if data.a[x]", "rego_recursion_error"},
      {"package a\np if f(1)", "rego_type_error: undefined function f"},
      {"package a\np if count(1, 2, 3)", "count: arity mismatch"},
      {"package a\np := http.send({})", "built-in function http.send is refused"},
      {"package a\np := any([true])", "deprecated built-in function"},
      {"package a\np := 1\np contains 2", "conflicting rules data.a.p found"},
      {"package a\np if { x := 1; x := 2 }", "var x assigned above"},
      {"package a\nf(x) if { x := 1 }", "arg x redeclared"},
      {"package a\np { true }", "`if` keyword is required before rule body"},
      {"package a\np := [1, 2", "p.rego:2:11: rego_parse_error"},
      {"package a\np := \"\\x\"", "illegal escape sequence"},
      {"package a\np := 01", "illegal number format"},
      {"package a\ndefault p := input.x", "illegal default rule"},
      {"package a\ninput := 1", "rules must not shadow input"},
      {"import data.x", "package expected"},
      {"package a\nimport foo", "must begin with one of"},
      {"package a\np if { 1 := 2 }", "cannot assign"},
  };
  for (const Case& c : cases) {
    const auto got = answer(c.text, "data.a.p");
    ASSERT_FALSE(got.has_value()) << c.text;
    EXPECT_NE(got.error().message().find(c.want), std::string::npos) << c.text << "\n"
                                                                     << got.error().message();
  }
}

// A program's own function: looks a name up, and counts how often it was asked.
class Book : public BuiltinHost {
 public:
  int asked = 0;
};

Result<Value> look_up(BuiltinContext& context, std::span<const Value> args) {
  COFFER_TRY(const std::string_view name, string_operand(args, 1));
  auto* book = static_cast<Book*>(context.host);
  if (book == nullptr) return builtin_error("no book");
  ++book->asked;
  return name == "a" ? Value::integer(1) : Value::null();
}

TEST(Engine, CallsAFunctionOfTheHostOncePerArgumentAndQuery) {
  static constexpr Builtin kFunctions[] = {{"look_up", 1, &look_up, kNondeterministic}};
  const std::string text =
      "package a\np if { look_up(\"a\") == 1; look_up(\"b\") == null; look_up(\"a\") == 1 }";
  Engine engine({.host_functions = kFunctions});
  ASSERT_TRUE(engine.add_module("p.rego", text));
  auto policy = engine.compile();
  ASSERT_TRUE(policy) << policy.error().to_string();
  Evaluator evaluator(*policy);
  // Without its host the call is undefined, and nothing else happens.
  EXPECT_TRUE(evaluator.rule("data.a.p", {}, {})->is_undefined());
  Book book;
  evaluator.context().host = &book;
  EXPECT_TRUE(evaluator.rule("data.a.p", {}, {})->is_true());
  EXPECT_EQ(book.asked, 2);
  EXPECT_TRUE(evaluator.rule("data.a.p", {}, {})->is_true());
  EXPECT_EQ(book.asked, 4);
  // Nobody else's policies know the name, and its arity is checked.
  EXPECT_NE(answer(text, "data.a.p").error().message().find("undefined function look_up"),
            std::string::npos);
  Engine arity({.host_functions = kFunctions});
  ASSERT_TRUE(arity.add_module("p.rego", "package a\np := look_up(1, 2, 3)"));
  EXPECT_NE(arity.compile().error().message().find("arity mismatch"), std::string::npos);
}

TEST(Engine, RefusesDeepNestingWithoutExhaustingTheStack) {
  for (const std::string_view open : {"[", "{", "(", "[x | x := ", "{\"a\": ", "f(", "x["}) {
    std::string text = "package a\np := ";
    for (int i = 0; i < 100000; ++i) text += open;
    const auto got = answer(text, "data.a.p");
    ASSERT_FALSE(got.has_value()) << open;
  }
  std::string chain = "package a\np := 1";
  for (int i = 0; i < 20000; ++i) chain += " + 1";
  const auto sum = answer(chain, "data.a.p");
  ASSERT_FALSE(sum.has_value());
  EXPECT_NE(sum.error().message().find("nested too deeply"), std::string::npos);
}

TEST(Engine, EndsLongChainsOfRulesWithAnError) {
  std::string text = "package a\nr0 := input.x\n";
  for (int i = 1; i <= 2000; ++i)
    text += "r" + std::to_string(i) + " := r" + std::to_string(i - 1) + "\n";
  const Value input = *parse_json(R"({"x":1})", "input");
  EvalOptions options;
  EXPECT_TRUE(answer(text, "data.a.r100", input, options).has_value());
  const auto deep = answer(text, "data.a.r2000", input, options);
  ASSERT_FALSE(deep.has_value());
  EXPECT_EQ(deep.error().code(), Code::kResourceExhausted);
}

TEST(Engine, StopsAtEachLimit) {
  const std::string loop =
      "package a\np := count([1 | some x in numbers.range(1, 3000); some y in numbers.range(1, "
      "3000); x == y])";
  EvalOptions options;
  options.limits.max_steps = 100000;
  auto got = answer(loop, "data.a.p", {}, options);
  ASSERT_FALSE(got.has_value());
  EXPECT_NE(got.error().message().find("more than 100000 steps"), std::string::npos);
  options = {};
  options.limits.max_time = std::chrono::nanoseconds(1);
  got = answer(loop, "data.a.p", {}, options);
  ASSERT_FALSE(got.has_value());
  EXPECT_EQ(got.error().code(), Code::kDeadlineExceeded);
  options = {};
  options.limits.max_memory = 1 << 20;
  got = answer(
      "package a\np := [sprintf(\"%d%d\", [x, y]) | some x in numbers.range(1, 3000); some "
      "y in numbers.range(1, 3000)]",
      "data.a.p", {}, options);
  ASSERT_FALSE(got.has_value());
  EXPECT_NE(got.error().message().find("bytes of memory"), std::string::npos);
}

TEST(Engine, FindsTwoResultsOfACompleteRuleAlsoWhenTheFirstSucceeds) {
  for (const bool optimise : {true, false}) {
    const auto got = answer("package a\np := 1\np := 2 if input.x", "data.a.p",
                            *parse_json(R"({"x":true})", "input"), {}, optimise);
    ASSERT_FALSE(got.has_value());
    EXPECT_NE(got.error().message().find(
                  "eval_conflict_error: complete rules must not produce multiple outputs"),
              std::string::npos);
  }
}

TEST(Engine, AnswersTheSameWithAndWithoutOptimisation) {
  const std::string text = R"(package a
constants := {"x": {"y": [1, 2, 3]}}
p := constants.x.y[1]
q if { some v in constants.x.y; v == input.v }
f(x) if x > 1
f(x) if x > 2
r := [x | some x in constants.x.y; f(x)]
s if q with input.v as 9
t := x if { x := data.a.constants.x.y with data.a.constants as {"x": {"y": 7}} }
)";
  const Value input = *parse_json(R"({"v":2})", "input");
  const auto fast = answer(text, "data.a", input, {}, true);
  const auto plain = answer(text, "data.a", input, {}, false);
  ASSERT_TRUE(fast.has_value()) << fast.error().to_string();
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(to_json(*fast), to_json(*plain));
  EXPECT_EQ(to_json(*fast->find("t")), "7");
  EXPECT_EQ(to_json(*fast->find("r")), "[2,3]");
}

// Each rule of a chain has its own copy of the head, with its own variables. Found by
// fuzz_rego_eval.
TEST(Engine, AnElseBelowAVariableBindsItsOwn) {
  const std::string text = R"(package a
k := "z"
p[x] := 0 if { x := 1; input.v == 9 } else := 2 if { y := 4; x := y + 1 }
q[k] := 0 if { input.v == 9 } else := 2 if { true }
)";
  for (const bool optimise : {true, false}) {
    const auto got = answer(text, "data.a", *parse_json(R"({"v":1})", "input"), {}, optimise);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_EQ(to_json(*got->find("p")), R"({"5":2})");
    EXPECT_EQ(to_json(*got->find("q")), R"({"z":2})");
  }
  const auto unsafe = answer("package a\np[x] := 0 if { x := 1; input.v } else := 2 if { true }",
                             "data.a", *parse_json("{}", "input"), {}, true);
  ASSERT_FALSE(unsafe.has_value());
  EXPECT_NE(unsafe.error().message().find("var x is unsafe"), std::string::npos);
}

TEST(Engine, RefusesByNameWhatIsNotForAGuestAndSaysWhy) {
  const std::pair<std::string, std::string> cases[] = {
      {"http.send({})", "http.send is refused: it reaches outside"},
      {"net.lookup_ip_addr(\"x\")", "net.lookup_ip_addr is refused: it reaches outside"},
      {"opa.runtime()", "opa.runtime is refused: it reaches outside"},
      {"rego.parse_module(\"\", \"\")", "rego.parse_module is refused: the text"},
      {"strings.render_template(\"\", {})",
       "strings.render_template is refused: Go's text templates"},
  };
  for (const auto& [call, want] : cases) {
    const auto got = answer("package a\np := " + call, "data.a.p", {}, {});
    ASSERT_FALSE(got.has_value()) << call;
    EXPECT_NE(got.error().message().find(want), std::string::npos) << got.error().message();
  }
}

TEST(Engine, MergesModulesOfOnePackageAndDataDocuments) {
  Engine engine;
  ASSERT_TRUE(engine.add_module("a.rego", "package a\np contains 1").has_value());
  ASSERT_TRUE(engine.add_module("b.rego", "package a\np contains data.n").has_value());
  ASSERT_TRUE(engine.add_data(*parse_json(R"({"n":2})", "d")).has_value());
  ASSERT_TRUE(engine.add_data(*parse_json(R"({"m":3})", "d")).has_value());
  EXPECT_FALSE(engine.add_data(*parse_json(R"({"n":3})", "d")).has_value());
  auto policy = engine.compile();
  ASSERT_TRUE(policy.has_value());
  Evaluator evaluator(*policy);
  const auto got = evaluator.rule("data.a.p", engine.data(), Value());
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(to_json(*got), "[1,2]");
}

TEST(Engine, PrintsOnlyWhenSomebodyListens) {
  class Lines : public PrintSink {
   public:
    void print(const Location& where, std::string_view line) override {
      text += place(where) + "|" + std::string(line) + "\n";
    }
    std::string text;
  };
  Lines lines;
  EvalOptions options;
  options.print = &lines;
  const auto got = answer("package a\np if {\n\tprint(\"v\", input.none, [1, \"a\"], {2}[_])\n}",
                          "data.a.p", {}, options);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(lines.text, "p.rego:3|v <undefined> [1, \"a\"] 2\n");
}

}  // namespace
}  // namespace coffer::policy
