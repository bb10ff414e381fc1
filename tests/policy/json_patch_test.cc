#include "policy/value/json_patch.h"

#include <gtest/gtest.h>

#include "policy/value/json.h"

namespace coffer::policy {
namespace {

struct Case {
  const char* document;
  const char* operations;
  const char* want;  // the result, or with a leading '!' a part of the error
};

// RFC 6902 appendix A, and what the appendix leaves out.
const Case kCases[] = {
    {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])",
     R"({"baz":"qux","foo":"bar"})"},
    {R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
     R"({"foo":["bar","qux","baz"]})"},
    {R"({"foo":[1]})", R"([{"op":"add","path":"/foo/-","value":2}])", R"({"foo":[1,2]})"},
    {R"({"foo":[1]})", R"([{"op":"add","path":"/foo/1","value":2}])", R"({"foo":[1,2]})"},
    {R"({"foo":[1]})", R"([{"op":"add","path":"/foo/2","value":2}])", "!index 2 is out of range"},
    {R"({"foo":[1]})", R"([{"op":"add","path":"/foo/01","value":2}])", "!no array index"},
    {R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
    {R"({"foo":["a","b","c"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["a","c"]})"},
    {R"({"a":1})", R"([{"op":"remove","path":"/b"}])", "!operation 0 (remove /b): no such key"},
    {R"({"a":1})", R"([{"op":"remove","path":""}])", "!cannot be removed"},
    {R"({"a":1})", R"([{"op":"replace","path":"/a","value":2}])", R"({"a":2})"},
    {R"({"a":1})", R"([{"op":"replace","path":"/b","value":2}])", "!no such key"},
    {R"({"a":1})", R"([{"op":"replace","path":"","value":[]}])", R"([])"},
    {R"({"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}})",
     R"([{"op":"move","from":"/foo/waldo","path":"/qux/thud"}])",
     R"({"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}})"},
    {R"({"a":{"b":{}}})", R"([{"op":"move","from":"/a","path":"/a/b/c"}])", "!into itself"},
    {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])",
     R"({"a":{"b":1},"c":{"b":1}})"},
    {R"({"a":"x"})", R"([{"op":"test","path":"/a","value":"x"}])", R"({"a":"x"})"},
    {R"({"a":"x"})", R"([{"op":"test","path":"/a","value":"y"}])", "!another"},
    {R"({"/":9,"~1":10})", R"([{"op":"test","path":"/~01","value":10}])", R"({"/":9,"~1":10})"},
    {R"({"a":1})", R"([{"op":"test","path":"/~2","value":10}])", "!'~'"},
    {R"({"a":1})", R"([{"op":"add","path":"/b"}])", "!value is missing"},
    {R"({"a":1})", R"([{"op":"add","path":"/a/b","value":1}])", "!scalar"},
    {R"({"a":1})", R"([{"op":"grow","path":"/a","value":1}])", "!'grow' is unknown"},
    {R"({"a":1})", R"([{"path":"/a"}])", "!op is missing"},
    {R"({"a":1})", R"([1])", "!is no object"},
    {R"({"a":1})", R"({})", "!no array"},
    {R"({"a":{"b":1}})", R"([{"op":"add","path":["a","c"],"value":2}])", R"({"a":{"b":1,"c":2}})"},
};

TEST(JsonPatch, FollowsTheRfc) {
  for (const Case& c : kCases) {
    const auto document = parse_json(c.document, "document");
    const auto operations = parse_json(c.operations, "operations");
    ASSERT_TRUE(document && operations) << c.operations;
    const auto result = apply_patch(*document, *operations);
    if (c.want[0] == '!') {
      ASSERT_FALSE(result) << c.operations;
      EXPECT_EQ(result.error().code(), Code::kInvalidArgument);
      EXPECT_NE(result.error().message().find(c.want + 1), std::string::npos)
          << result.error().message();
    } else {
      ASSERT_TRUE(result) << c.operations << ": " << result.error().message();
      EXPECT_EQ(to_json(*result), c.want);
    }
  }
}

TEST(JsonPatch, ChangesNothingWhenALaterOperationFails) {
  const auto document = parse_json(R"({"a":1})", "document");
  const auto operations =
      parse_json(R"([{"op":"add","path":"/b","value":1},{"op":"remove","path":"/c"}])", "ops");
  ASSERT_FALSE(apply_patch(*document, *operations));
  EXPECT_EQ(to_json(*document), R"({"a":1})");
}

TEST(JsonPatch, SharesWhatItDoesNotTouch) {
  const auto document = parse_json(R"({"big":[1,2,3],"a":1})", "document");
  const auto operations = parse_json(R"([{"op":"replace","path":"/a","value":2}])", "ops");
  const auto result = apply_patch(*document, *operations);
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->find("big")->same(*document->find("big")));
}

}  // namespace
}  // namespace coffer::policy
