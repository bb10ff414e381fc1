#include "policy/value/value.h"

#include <gtest/gtest.h>

#include "policy/value/escape.h"
#include "policy/value/json.h"
#include "policy/value/number.h"
#include "policy/value/yaml.h"

namespace coffer::policy {
namespace {

Value json(std::string_view text) {
  auto value = parse_json(text, "test");
  EXPECT_TRUE(value.has_value()) << (value ? "" : value.error().to_string());
  return value ? *value : Value();
}

TEST(Value, ReadsAndWritesJson) {
  for (const std::string_view text :
       {"null", "true", "[]", "{}", "[1,2.50,-3e10,\"a\\nb\"]", "{\"a\":{\"b\":[]},\"c\":null}",
        "123456789012345678901234567890", "1.0", "-0"})
    EXPECT_EQ(to_json(json(text)), text);
  EXPECT_EQ(to_json(json(R"("\u00e9\ud83d\ude00\ud800")")), "\"é😀\xef\xbf\xbd\"");
  EXPECT_EQ(to_json(json(R"({"b":1,"a":2,"b":3})")), R"({"a":2,"b":3})");
}

TEST(Escape, ReadsEachFormAndMovesBehindIt) {
  for (const auto& [text, want] : {std::pair{R"("x)", "\""},
                                   {R"(\x)", "\\"},
                                   {"/x", "/"},
                                   {"nx", "\n"},
                                   {"bx", "\b"},
                                   {"u00e9x", "é"},
                                   {"u20ACx", "€"},
                                   {R"(ud83d\ude00x)", "😀"},
                                   {R"(ude00x)", "\xef\xbf\xbd"}}) {
    std::size_t at = 0;
    std::string out;
    EXPECT_TRUE(append_escape(text, at, out)) << text;
    EXPECT_EQ(out, want) << text;
    EXPECT_EQ(std::string_view(text).substr(at), "x") << text;
  }
  // Half a pair, and then a character of its own.
  EXPECT_EQ(to_json(json(R"("\ud83d\u0041\ud83d\ud83d\ude00\ud83dx")")),
            "\"\xef\xbf\xbd"
            "A"
            "\xef\xbf\xbd"
            "😀"
            "\xef\xbf\xbd"
            "x\"");
}

TEST(Escape, RefusesOthers) {
  for (const std::string_view text : {"", "x", "a", "u", "u123", "u12g4", "U0041", "N"}) {
    std::size_t at = 0;
    std::string out;
    EXPECT_FALSE(append_escape(text, at, out)) << text;
    EXPECT_LE(at, text.size()) << text;
  }
  EXPECT_FALSE(parse_json(R"("\ud83d\u12")", "test"));
}

TEST(Value, RefusesMalformedJson) {
  for (const std::string_view text : {"", "tru", "[1,]", "{\"a\"}", "01", "1.", "-", "\"a", "[1 2]",
                                      "nullx", "\"\\x\"", "+1", "\"\x01\"", "[", "{\"a\":1,}"})
    EXPECT_FALSE(parse_json(text, "test").has_value()) << text;
}

TEST(Value, RefusesJsonNestedPastTheLimitButNotAtIt) {
  const JsonOptions options{.max_bytes = 1000, .max_depth = 3};
  EXPECT_TRUE(parse_json("[[[]]]", "test", options).has_value());
  const auto deep = parse_json("[[[[]]]]", "test", options);
  ASSERT_FALSE(deep.has_value());
  EXPECT_EQ(deep.error().code(), Code::kResourceExhausted);
}

TEST(Value, OrdersAsOpaDoes) {
  const std::vector<Value> ascending = {Value::null(),
                                        json("false"),
                                        json("true"),
                                        json("-1.5"),
                                        json("0"),
                                        json("1"),
                                        json("1.5"),
                                        json("18446744073709551616"),
                                        json("\"\""),
                                        json("\"a\""),
                                        json("\"b\""),
                                        json("[]"),
                                        json("[1]"),
                                        json("[1,2]"),
                                        json("[2]"),
                                        json("{}"),
                                        json("{\"a\":1}"),
                                        json("{\"a\":1,\"b\":1}"),
                                        json("{\"a\":2}"),
                                        Value::empty_set(),
                                        Value::set({Value::integer(1)})};
  for (std::size_t i = 0; i < ascending.size(); ++i)
    for (std::size_t j = 0; j < ascending.size(); ++j)
      EXPECT_EQ(ascending[i].compare(ascending[j]), i < j ? -1 : (i > j ? 1 : 0)) << i << " " << j;
}

TEST(Value, TakesNumbersOfEqualValueForEqual) {
  const Value one = json("1");
  for (const std::string_view text : {"1.0", "1e0", "10e-1", "0.1e1"}) {
    EXPECT_EQ(one, json(text));
    EXPECT_EQ(one.hash(), json(text).hash());
  }
  EXPECT_EQ(Value::set({one, json("1.0")}).size(), 1U);
  EXPECT_FALSE(json("9007199254740993") == json("9007199254740992.0"));
}

TEST(Value, FindsKeysInSmallAndLargeObjects) {
  for (const int size : {1, 8, 9, 1000}) {
    ObjectBuilder builder;
    for (int i = 0; i < size; ++i) builder.add(std::to_string(i), Value::integer(i));
    const Value object = builder.build();
    for (int i = 0; i < size; ++i) {
      const Value* found = object.find(std::to_string(i));
      ASSERT_NE(found, nullptr);
      EXPECT_EQ(found->small_int(), i);
    }
    EXPECT_EQ(object.find("x"), nullptr);
  }
}

TEST(Yaml, RefusesWhatNoDocumentMayHold) {
  for (const std::string_view text : {"a: \xc0",
                                      "a: \x80"
                                      "b",
                                      "a: \x01", "a: \x7f", "a: \xef\xbf\xbf"})
    EXPECT_FALSE(parse_yaml(text, "test").has_value()) << text;
}

TEST(Yaml, ReadsEscapesAsUtf8AndWritesThemSoThatTheySurvive) {
  const Value read = *parse_yaml(R"("\N\_\L\P\x85\u00e9")", "test");
  EXPECT_EQ(to_json(read), "\"\u0085\u00a0\\u2028\\u2029\u0085é\"");
  for (const Value& value : {read, json(R"("\u007f\u0085\ufeff\uffff\n'#: ")")})
    EXPECT_EQ(*parse_yaml(to_yaml(value), "test"), value) << to_yaml(value);
}

TEST(Number, CalculatesAsOpaDoes) {
  struct Case {
    ArithmeticOp op;
    std::string_view a, b, want;
  };
  const Case cases[] = {
      {ArithmeticOp::kAdd, "0.1", "0.2", "0.3"},
      {ArithmeticOp::kAdd, "9223372036854775807", "1", "9223372036854775808"},
      {ArithmeticOp::kMultiply, "123456789012345678901234567890", "10",
       "1234567890123456789012345678900"},
      {ArithmeticOp::kDivide, "10", "4", "2.5"},
      {ArithmeticOp::kDivide, "-10", "5", "-2"},
      {ArithmeticOp::kDivide, "1", "3", "0.33333333333333333334"},
      {ArithmeticOp::kRemainder, "-7", "3", "-1"},
      {ArithmeticOp::kAdd, "1234567", "0.5", "1.2345675e+06"},
      {ArithmeticOp::kSubtract, "1.5", "0.5", "1"},
  };
  for (const Case& c : cases) {
    const auto got = arithmetic(c.op, json(c.a), json(c.b));
    ASSERT_TRUE(got.has_value()) << c.want;
    EXPECT_EQ(got->number_text(), c.want);
  }
  EXPECT_EQ(arithmetic(ArithmeticOp::kDivide, json("1"), json("0")).error().message(),
            "divide by zero");
}

}  // namespace
}  // namespace coffer::policy
