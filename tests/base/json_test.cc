#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json_writer.h"

namespace coffer {
namespace {

using Json = nlohmann::json;

// Any tree, with what is awkward in it more often than not.
class Trees {
 public:
  Json tree(int depth) {
    switch (depth > 0 ? below(16) : below(7)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 1;
      case 2:
        return random_();
      case 3:
        return static_cast<std::int64_t>(random_());
      case 4:
        return static_cast<double>(random_()) * std::pow(10.0, static_cast<int>(below(600)) - 320);
      case 5:
        return below(1000);
      case 6:
        return text();
      case 7:
      case 8:
      case 9:
      case 10: {
        Json out = Json::array();
        for (auto n = below(5); n > 0; --n) out.push_back(tree(depth - 1));
        return out;
      }
      default: {
        Json out = Json::object();
        for (auto n = below(5); n > 0; --n) out[text()] = tree(depth - 1);
        return out;
      }
    }
  }
  std::string text() {
    static constexpr std::string_view kPieces[] = {"a",
                                                   "plain text, long",
                                                   "\"",
                                                   "\\",
                                                   "\n",
                                                   "\x01",
                                                   "\x7f",
                                                   "\xc3\xa9",
                                                   "\xe2\x82\xac",
                                                   "\xf0\x9f\x98\x80",
                                                   "/",
                                                   "\t"};
    std::string out;
    for (auto n = below(12); n > 0; --n) out += kPieces[below(std::size(kPieces))];
    return out;
  }
  // Another byte, one less, or one more.
  void damage(std::string& text) {
    static constexpr std::string_view kBytes =
        "{}[]\",:\\u0123456789abcdefDC+-.eE \n\x01\x80\xff\xc3";
    const auto at = static_cast<std::ptrdiff_t>(below(text.size() + 1));
    const char byte = kBytes[below(kBytes.size())];
    if (below(3) == 0 || at == static_cast<std::ptrdiff_t>(text.size())) {
      text.insert(text.begin() + at, byte);
    } else if (below(2) == 0) {
      text.erase(text.begin() + at);
    } else {
      text[static_cast<std::size_t>(at)] = byte;
    }
  }
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }

 private:
  std::mt19937_64 random_{7};  // NOLINT(cert-msc32-c,cert-msc51-cpp): a test's trees are the same
};

// Both read the same from it, or neither anything. True: both did.
bool both_read(const std::string& text) {
  const auto mine = parse_json(text, "x", {.refuse_duplicate_keys = false});
  const auto theirs = Json::parse(text, nullptr, false);
  EXPECT_EQ(mine.has_value(), !theirs.is_discarded())
      << text << ": " << (mine ? "taken" : mine.error().to_string());
  if (!mine || theirs.is_discarded()) return false;
  EXPECT_EQ(mine->dump(), theirs.dump()) << text;
  EXPECT_EQ(dump_json(*mine), theirs.dump()) << text;
  const auto bytes =
      parse_json(text, "x", {.refuse_duplicate_keys = false, .lists_as_bytes = true});
  EXPECT_TRUE(bytes && dump_json(*bytes) == theirs.dump()) << text;
  return true;
}

TEST(Json, ParsesAndNamesTheDocumentInErrors) {
  EXPECT_EQ(parse_json(R"({"a":[1,2]})", "x")->at("a").size(), 2U);
  EXPECT_NE(parse_json("{", "settings").error().message().find("parse settings"),
            std::string::npos);
  EXPECT_FALSE(parse_json("{} x", "x"));
  EXPECT_FALSE(parse_json("\"\xff\"", "x"));
}

TEST(Json, BuildsWhatNlohmannBuilds) {
  for (const char* text :
       {"null", "true", "-1", "18446744073709551615", "1.5e3", R"("a\u00e9\n")", "[]", "{}",
        R"({"a":[1,-2,{"b":[[],{}]},"c"],"d":{"e":null,"f":false},"g":[0.1,[2]],"":""})"}) {
    const auto mine = parse_json(text, "x");
    ASSERT_TRUE(mine) << text << ": " << mine.error().to_string();
    const auto theirs = nlohmann::json::parse(text);
    EXPECT_EQ(*mine, theirs) << text;
    EXPECT_EQ(mine->dump(), theirs.dump());
    EXPECT_EQ(mine->type(), theirs.type());
  }
  EXPECT_TRUE(parse_json("-1", "x")->is_number_integer());
  EXPECT_TRUE(parse_json("1", "x")->is_number_unsigned());
  for (const char* text :
       {"", "1e999", "[1,]", "{\"a\"}", "{\"a\":}", "[", "nul", "01", "\"\\u\""}) {
    EXPECT_FALSE(parse_json(text, "x")) << text;
  }
}

TEST(Json, ReadsAndWritesAnyTreeAsNlohmannDoes) {
  Trees trees;
  for (int i = 0; i < 2000; ++i) {
    const Json tree = trees.tree(4);
    EXPECT_EQ(dump_json(tree), tree.dump());
    EXPECT_TRUE(both_read(tree.dump()));
    EXPECT_TRUE(both_read(tree.dump(2)));
    EXPECT_TRUE(both_read(tree.dump(-1, ' ', true)));
  }
}

TEST(Json, TakesAndRefusesDamagedTextAsNlohmannDoes) {
  Trees trees;
  int taken = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = trees.tree(3).dump(-1, ' ', trees.below(2) == 0);
    for (auto n = 1 + trees.below(3); n > 0; --n) trees.damage(text);
    if (both_read(text)) ++taken;
  }
  EXPECT_GT(taken, 1000);
}

TEST(Json, TakesAndRefusesAsNlohmannDoes) {
  for (const char* text : {"-0",
                           "0",
                           "00",
                           "-",
                           "-a",
                           "+1",
                           "1.",
                           ".5",
                           "1.0",
                           "1e5",
                           "1E+05",
                           "1e-5",
                           "1e",
                           "1e+",
                           "-1.5e-7",
                           "1e308",
                           "1e309",
                           "-1e309",
                           "1e-400",
                           "4.9e-324",
                           "2e-324",
                           "0.0",
                           "-0.0",
                           "0e9",
                           "9223372036854775807",
                           "-9223372036854775808",
                           "-9223372036854775809",
                           "18446744073709551615",
                           "18446744073709551616",
                           "123456789012345678901234567890",
                           "1 2",
                           "tru",
                           "trueish",
                           "True",
                           "nulL",
                           "NaN",
                           "Infinity",
                           "//x\n1",
                           "'a'",
                           "\xef\xbb\xbf[1]",
                           "\xef\xbb[1]",
                           "\xef\xbb\xbf",
                           "[\xef\xbb\xbf]",
                           "\v1",
                           "\f1",
                           " \t\r\n1 \t\r\n",
                           "[,1]",
                           "[1,,2]",
                           "[1 2]",
                           "[1",
                           "]",
                           "{\"a\":1,}",
                           "{,}",
                           "{\"a\" 1}",
                           "{a:1}",
                           "{1:2}",
                           "{\"a\"}",
                           "{\"a\":1",
                           "{\"a\":1,\"a\":[2]}",
                           "\"",
                           "\"a",
                           "\"\\",
                           "\"\\\"",
                           "\"a\\\"b\"",
                           "\"\\/\\b\\f\\n\\r\\t\"",
                           "\"\\x41\"",
                           "\"\\u0041\"",
                           "\"\\u004\"",
                           "\"\\u00g1\"",
                           "\"\\u-041\"",
                           "\"\\u+041\"",
                           "\"\\u0x41\"",
                           "\"\\U0041\"",
                           "\"\\u0000\"",
                           "\"\\u00ff\"",
                           "\"\\uFFFF\"",
                           "\"\\ud83d\\ude00\"",
                           "\"\\uD83D\\uDE00\"",
                           "\"\\ud83d\"",
                           "\"\\ude00\"",
                           "\"\\ud83dx\"",
                           "\"\\ud83d\\n\"",
                           "\"\\ud83d\\ud83d\"",
                           "\"\\ud83d\\u0041\"",
                           "\"\\udbff\\udfff\"",
                           "\"\x1f\"",
                           "\"\x7f\"",
                           "\"\t\"",
                           "\"\xc3\xa9\"",
                           "\"\xc3\"",
                           "\"\xa9\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xe0\x80\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\xf4\x8f\xbf\xbf\"",
                           "\"12345678\"",
                           "\"1234567\xc3\xa9 12345678 12345678\\u0041\"",
                           "\"12345678\x80\"",
                           "\"123456\x1f\x20\"",
                           "\"!!!!!!!!\"",
                           "\"\x21\x22\"",
                           "\"[[[[[[[[\\\\]]]]]]]\""}) {
    both_read(text);
  }
  const std::string digits(400, '9');
  both_read(digits);
  both_read("-" + digits);
  both_read("0." + digits);
  both_read("0." + std::string(400, '0') + "1");
}

// nlohmann takes a zero byte for the end, whatever follows.
TEST(Json, AZeroByteIsNoEnd) {
  using namespace std::string_literals;
  for (const auto& text : {"1\0"s, "1\0x"s, "\0"s, "[1\0]"s, "\"a\0\""s}) {
    EXPECT_FALSE(parse_json(text, "x")) << text;
  }
}

TEST(Json, NamesTheByteAtWhichItEnded) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"a":x})", "parse x: byte 5: want a value"},
      {R"({"a":1 "b"})", "parse x: byte 7: want ',' or '}'"},
      {"[1] 2", "parse x: byte 4: text after the value"},
      {R"({"a":1,"a":2})", "parse x: byte 7: key 'a' stands twice"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_EQ(parse_json(text, "x").error().message(), message);
  }
}

TEST(Json, IsWrittenWithoutATree) {
  JsonWriter writer;
  writer.begin_object();
  writer.key("a \"b\"").text("\xc3\xa9\n");
  writer.key("list").begin_array().integer(-7).boolean(true).json("null").end_array();
  writer.key("empty").begin_array().end_array();
  writer.key("tree").tree(Json{{"x", {1.5}}});
  writer.key("last").begin_object().end_object().end_object();
  const std::string text = writer.take();
  EXPECT_EQ(text,
            "{\"a \\\"b\\\"\":\"\xc3\xa9\\n\",\"list\":[-7,true,null],\"empty\":[],"
            "\"tree\":{\"x\":[1.5]},\"last\":{}}");
  EXPECT_TRUE(Json::accept(text));
  EXPECT_EQ(writer.text("again").take(), "\"again\"");
}

// What lists_as_bytes made of a list, as the list that it was.
Json as_lists(const Json& value) {
  if (value.is_binary()) {
    Json out = Json::array();
    for (const auto byte : value.get_binary()) out.push_back(byte);
    return out;
  }
  Json out = value;
  if (value.is_structured()) {
    for (auto& item : out) item = as_lists(item);
  }
  return out;
}

TEST(Json, ListsOfBytesAreReadAsBytesWhereThatIsWanted) {
  constexpr JsonLimits kBytes{.lists_as_bytes = true};
  for (const char* text : {"[0]", "[255,0,1]", " [ 7 , 10\n] "}) {
    EXPECT_TRUE(parse_json(text, "x", kBytes)->is_binary()) << text;
    EXPECT_TRUE(parse_json(text, "x")->is_array()) << text;
  }
  for (const char* text : {"[]", "[256]", "[1000]", "[-1]", "[1.0]", "[1e1]", "[1,\"\"]",
                           "[[1],[]]", "[1,{}]", "[null]", "[1,2,300]"}) {
    const auto read = parse_json(text, "x", kBytes);
    ASSERT_TRUE(read) << text;
    EXPECT_TRUE(read->is_array()) << text;
    EXPECT_EQ(as_lists(*read).dump(), Json::parse(text).dump());
  }
  for (const char* text : {"[1", "[1,", "[1,]", "[,1]", "[00]", "[01]", "[1 2]", "[+1]", "[1;2]"}) {
    EXPECT_FALSE(parse_json(text, "x", kBytes)) << text;
  }
  EXPECT_FALSE(parse_json("[[1]]", "x", {.max_depth = 1, .lists_as_bytes = true}));
  EXPECT_EQ(dump_json(*parse_json(R"({"a":[1,255],"b":[]})", "x", kBytes)),
            R"({"a":[1,255],"b":[]})");
}

TEST(Json, IsWrittenAsNlohmannWritesIt) {
  const auto value = nlohmann::json::parse(
      R"({"b":[],"a":{},"n":[0,-1,18446744073709551615,-9223372036854775808,1.5,1e300],"t":true,
          "z":null,"s":"a\"\\\n\u0001\u007f\u00e9/","":["",[[]],{"x":{"y":"z"}}]})");
  EXPECT_EQ(dump_json(value), value.dump());
  nlohmann::json odd = {"\xff", std::numeric_limits<double>::infinity(), "x\xc3"};
  EXPECT_EQ(dump_json(odd), odd.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  for (const char* text : {"null", "7", "\"x\"", "[]", "{}"}) {
    EXPECT_EQ(dump_json(nlohmann::json::parse(text)), text);
  }
}

TEST(Json, HoldsTheDepthLimitExactly) {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_json(nested(64), "x"));
  EXPECT_NE(parse_json(nested(65), "x").error().message().find("deeper than 64"),
            std::string::npos);
  EXPECT_FALSE(parse_json(nested(100000), "x"));
}

TEST(Json, RefusesDoubledKeysAtAnyLevel) {
  EXPECT_NE(parse_json(R"({"a":{"b":1,"b":2}})", "x").error().message().find("'b' stands twice"),
            std::string::npos);
  const std::string key = '"' + std::string(1000, 'k') + R"(":1)";
  EXPECT_EQ(parse_json("{" + key + "," + key + "}", "x").error().message(),
            "parse x: byte 1006: a key of 1000 bytes stands twice");
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":2}])", "x"));
  EXPECT_EQ(parse_json(R"({"a":1,"a":2})", "x", {.refuse_duplicate_keys = false})->at("a"), 2);
}

}  // namespace
}  // namespace coffer
