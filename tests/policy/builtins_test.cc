#include <gtest/gtest.h>

#include "policy/builtins/registry.h"
#include "policy/builtins/time_zone.h"
#include "policy/value/json.h"

namespace coffer::policy {
namespace {

// Arguments are a JSON array; the result is JSON, "undefined", or '!' and a part of the error.
struct Case {
  const char* name;
  const char* args;
  const char* want;
};

class BuiltinsTest : public testing::Test {
 protected:
  BuiltinsTest() {
    context_.regex = &regex_;
    context_.now_ns = [] { return std::int64_t{1}; };
    context_.random = [this](std::span<std::uint8_t> out) {
      for (auto& byte : out) byte = next_random_++;
    };
  }

  std::string call(const char* name, const char* args) {
    const Builtin* builtin = find_builtin(name);
    if (builtin == nullptr) return "!no such builtin";
    const auto values = parse_json(args, "arguments");
    if (!values || values->size() != builtin->arity) return "!the test's arguments";
    const auto result = builtin->function(context_, values->items());
    if (!result) return "!" + result.error().message();
    return result->defined() ? to_json(*result) : "undefined";
  }

  void expect(std::span<const Case> cases) {
    for (const Case& c : cases) {
      const std::string got = call(c.name, c.args);
      if (c.want[0] == '!') {
        EXPECT_NE(got.find(c.want + 1), std::string::npos) << c.name << c.args << " = " << got;
        EXPECT_EQ(got[0], '!') << c.name << c.args;
      } else {
        EXPECT_EQ(got, c.want) << c.name << c.args;
      }
    }
  }

  BuiltinContext::RegexCache regex_;
  BuiltinContext context_;
  std::uint8_t next_random_ = 0;
};

TEST_F(BuiltinsTest, Bits) {
  const Case cases[] = {
      {"bits.and", "[12,10]", "8"},
      {"bits.and", "[-1,255]", "255"},
      {"bits.negate", "[0]", "-1"},
      {"bits.xor", "[5,1.0]", "4"},
      {"bits.or", "[1.5,1]", "!operand 1 must be integer number but got floating-point number"},
      {"bits.lsh", "[1,70]", "1180591620717411303424"},
      {"bits.rsh", "[-5,1]", "-3"},
      {"bits.lsh", "[1,99999999999]", "!too large"},
      {"bits.lsh", "[1,-1]", "!unsigned"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Encoding) {
  const Case cases[] = {
      {"base64.decode", R"(["aGVs\nbG8="])", R"("hello")"},
      {"base64.decode", R"(["aGVsbG8"])", "!illegal base64"},
      {"base64.is_valid", R"(["*"])", "false"},
      {"base64url.decode", R"(["aGVsbG8"])", R"("hello")"},
      {"base64url.encode", R"(["there"])", R"("dGhlcmU=")"},
      {"hex.decode", R"(["6z"])", "!foreign character"},
      {"urlquery.encode", R"(["a=b+1 ü"])", R"("a%3Db%2B1+%C3%BC")"},
      {"urlquery.decode", R"(["%4"])", "!invalid URL escape"},
      {"urlquery.decode_object", R"(["a=1&a=2&b"])", R"({"a":["1","2"],"b":[""]})"},
      {"urlquery.encode_object", R"([{"a":1}])", "!values must be string"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Units) {
  const Case cases[] = {
      {"units.parse", R"(["1.1Ki"])", "1126.4"},
      {"units.parse", R"(["500m"])", "0.5"},
      {"units.parse", R"(["-2M"])", "-2000000"},
      {"units.parse", R"(["10e"])", "10000000000000000000"},
      {"units.parse", R"(["1e-2"])", "0.01"},
      {"units.parse", R"(["1x"])", "!not recognized"},
      {"units.parse", R"(["1e+K"])", "!could not parse amount to a number"},
      {"units.parse", R"(["1+2K"])", "!could not parse amount to a number"},
      {"units.parse", R"(["e5K"])", "!could not parse amount to a number"},
      {"units.parse_bytes", R"(["1.1KiB"])", "1126"},
      {"units.parse_bytes", R"(["10e10000000EiB"])", "!exponent too large"},
      {"units.parse_bytes", R"(["1e99999999999999999999k"])", "!exponent too large"},
      {"units.parse_bytes", R"(["GB"])", "!no byte amount provided"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Semver) {
  const Case cases[] = {
      {"semver.compare", R"(["1.0.0-alpha","1.0.0"])", "-1"},
      {"semver.compare", R"(["1.0.0-alpha.1","1.0.0-alpha.beta"])", "-1"},
      {"semver.compare", R"(["1.0.0-rc.2","1.0.0-rc.10"])", "-1"},
      {"semver.compare", R"(["99999999999999999999.0.0","2.0.0+x"])", "1"},
      {"semver.compare", R"(["1.0","1.0.0"])", "!not a valid SemVer"},
      {"semver.is_valid", R"(["1.0.0-"])", "false"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Networks) {
  const Case cases[] = {
      {"net.cidr_contains", R"(["10.0.0.0/8","10.1.1.1"])", "true"},
      {"net.cidr_contains", R"(["10.0.0.0/8","::1"])", "false"},
      {"net.cidr_contains", R"(["10.0.0.0/33","10.0.0.1"])", "!invalid CIDR"},
      {"net.cidr_intersects", R"(["10.0.0.0/8","10.1.0.0/16"])", "true"},
      {"net.cidr_expand", R"(["10.0.0.254/31"])", R"(["10.0.0.254","10.0.0.255"])"},
      {"net.cidr_expand", R"(["10.0.0.0/8"])", "!the limit is 2^20"},
      {"net.cidr_merge", R"([["10.0.0.0/25","10.0.0.128/25","::/0"]])",
       R"(["10.0.0.0/24","::/0"])"},
      {"net.cidr_merge", R"([["10.0.1.0/24","10.0.2.0/24"]])", R"(["10.0.1.0/24","10.0.2.0/24"])"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Globs) {
  const Case cases[] = {
      {"glob.match", R"(["*.com",[],"a.b.com"])", "false"},
      {"glob.match", R"(["**.com",[],"a.b.com"])", "true"},
      {"glob.match", R"(["*",[":"],"a.b"])", "true"},
      {"glob.match", R"(["{a,b{c,d}}",null,"bd"])", "true"},
      {"glob.match", R"(["\\*",null,"*"])", "true"},
      {"glob.match", R"(["\\*",null,"x"])", "false"},
      {"glob.match", R"(["a.c",null,"abc"])", "false"},
      {"glob.match", R"(["[",null,"a"])", "!no glob pattern"},
      {"glob.match", R"(["{a",null,"a"])", "!no glob pattern"},
      {"glob.match", R"(["a",["::"],"a"])", "!single characters"},
      {"glob.quote_meta", R"(["a*[b]"])", R"("a\\*\\[b\\]")"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Times) {
  const Case cases[] = {
      {"time.parse_rfc3339_ns", R"(["2017-06-02T19:00:00-07:00"])", "1496455200000000000"},
      {"time.parse_rfc3339_ns", R"(["2017-06-02T19:00:00.5Z"])", "1496430000500000000"},
      {"time.parse_rfc3339_ns", R"(["2017-02-29T00:00:00Z"])", "!day out of range"},
      {"time.parse_rfc3339_ns", R"(["2017-13-01T00:00:00Z"])", "!cannot parse"},
      {"time.parse_rfc3339_ns", R"(["1500-01-01T00:00:00Z"])", "!outside of valid range"},
      {"time.parse_ns", R"(["Mon Jan _2 2006","Fri Jun  2 2017"])", "1496361600000000000"},
      {"time.parse_ns", R"(["2006-002","2024-366"])", "1735603200000000000"},
      {"time.format", R"([0])", R"("1970-01-01T00:00:00Z")"},
      {"time.format", R"([[1496455200120000000,"UTC","02 Jan 06 3:04PM .000 .999"]])",
       R"("03 Jun 17 2:00AM .120 .12")"},
      {"time.parse_duration_ns", R"(["-1h30m"])", "-5400000000000"},
      {"time.parse_duration_ns", R"(["1.5s"])", "1500000000"},
      {"time.parse_duration_ns", R"(["1"])", "!time: missing unit in duration"},
      {"time.parse_duration_ns", R"(["1x"])", "!time: unknown unit \"x\" in duration \"1x\""},
      {"time.parse_duration_ns", R"([""])", "!time: invalid duration \"\""},
      {"time.parse_duration_ns", R"(["999999999h"])", "!invalid duration"},
      {"time.clock", R"([-1])", "[23,59,59]"},
      {"time.date", R"([[0,"No/Such_Zone"]])", "!unknown time zone"},
      {"time.date", R"([[0,"../../etc/passwd"]])", "!unknown time zone"},
      {"time.date", "[0.5]", "!floating-point"},
      {"time.add_date", "[0,0,0,31]", "2678400000000000"},
      {"time.add_date", "[0,5000,0,0]", "!outside of valid range"},
      {"time.weekday", "[0]", R"("Thursday")"},
  };
  expect(cases);
}

TEST(TimeZone, RefusesFilesThatLie) {
  EXPECT_FALSE(TimeZone::parse(as_bytes("")));
  EXPECT_FALSE(TimeZone::parse(as_bytes("TZif1")));
  std::string file = std::string("TZif2") + std::string(15, '\0') + std::string(24, '\0');
  file += file;
  ASSERT_TRUE(TimeZone::parse(as_bytes(file)));
  file[44 + 20 + 12] = '\x7f';  // two thousand million transitions
  EXPECT_NE(TimeZone::parse(as_bytes(file)).error().message().find("past the end"),
            std::string::npos);
}

TEST_F(BuiltinsTest, UuidsAndDraws) {
  const Case cases[] = {
      {"uuid.parse", R"(["00000000-0000-4000-8000-000000000000"])",
       R"({"variant":"RFC4122","version":4})"},
      {"uuid.parse", R"(["0000"])", "undefined"},
      {"uuid.rfc4122", R"(["k"])", R"("00010203-0405-4607-8809-0a0b0c0d0e0f")"},
      {"rand.intn", R"(["k",0])", "0"},
  };
  expect(cases);
  EXPECT_EQ(call("rand.intn", R"(["k",1])"), "0");
}

TEST_F(BuiltinsTest, RegularExpressions) {
  const Case cases[] = {
      {"regex.match", R"(["^a.c$","abc"])", "true"},
      {"regex.match", R"(["(","a"])", "!error parsing regexp"},
      {"regex.match", R"(["(a*)*b","aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])", "false"},
      {"regex.find_n", R"(["a*","baab",-1])", R"(["","aa",""])"},
      {"regex.find_n", R"(["a","aaa",2])", R"(["a","a"])"},
      {"regex.find_n", R"(["a","aaa",0])", "[]"},
      {"regex.find_all_string_submatch_n", R"x(["(a)|(b)","ab",-1])x",
       R"([["a","a",""],["b","","b"]])"},
      {"regex.split", R"([",","a,,b,"])", R"(["a","","b",""])"},
      {"regex.split", R"(["","abc"])", R"(["a","b","c"])"},
      {"regex.split", R"(["x",""])", R"([""])"},
      {"regex.replace", R"x(["abc","(?P<x>b)","[$x$1${x}$$$9]"])x", R"("a[bbb$]c")"},
      {"regex.replace", R"(["abc","","-"])", R"("-a-b-c-")"},
      {"regex.template_match", R"(["a:<b+>.","a:bb.","<",">"])", "true"},
      {"regex.template_match", R"(["a:<b+","a:bb","<",">"])", "!unbalanced"},
      {"regex.globs_match", R"(["a.*z","abc+z"])", "true"},
      {"regex.globs_match", R"(["[a-b]+","c*"])", "false"},
      {"regex.globs_match", R"(["[^a]","a"])", "false"},
      {"regex.globs_match", R"(["*","a"])", "!flag must be preceded"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, Documents) {
  const Case cases[] = {
      {"json.unmarshal", R"(["[1,"])", "!parse JSON"},
      {"json.filter", R"([{"a":{"b":1,"c":2},"d":3},["a/b",["d"]]])", R"({"a":{"b":1},"d":3})"},
      {"json.filter", R"([{"a":1},[1]])", "!operand 2 must be one of {set, array} containing"},
      {"json.remove", R"([{"a":[1,2,3]},["a/1"]])", R"({"a":[1,3]})"},
      {"json.patch", R"([{"a":1},[{"op":"remove","path":"b"}]])", "!no such key"},
      {"yaml.unmarshal", R"(["a: 1\nb: [x, y, 'no', no, ~, 0x10, 1.5]"])",
       R"({"a":1,"b":["x","y","no",false,null,16,1.5]})"},
      {"yaml.unmarshal", R"(["a: &x {b: 1}\nc:\n  <<: *x\n  d: 2"])",
       R"({"a":{"b":1},"c":{"b":1,"d":2}})"},
      {"yaml.unmarshal", R"(["[1,2"])", "!yaml: line 1: did not find"},
      {"yaml.is_valid", R"(["a: {"])", "false"},
      {"yaml.marshal", R"([{"a":[{"b":1,"c":[]}],"d":{"e":"no"}}])",
       R"("a:\n- b: 1\n  c: []\nd:\n  e: \"no\"\n")"},
  };
  expect(cases);
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\\n";
  for (int i = 1; i < 9; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += "*a" + std::to_string(i - 1) + ",";
    bomb += "]\\n";
  }
  EXPECT_NE(call("yaml.unmarshal", ("[\"" + bomb + "\"]").c_str()).find("excessive aliasing"),
            std::string::npos);
  const std::string deep = "[\"" + std::string(2000, '[') + "\"]";
  EXPECT_EQ(call("yaml.unmarshal", deep.c_str()).find('!'), 0U);
}

TEST_F(BuiltinsTest, Sprintf) {
  const Case cases[] = {
      {"sprintf", R"(["%d %s %v",[1,"a",{"b":[1]}]])", R"x("1 a {\"b\": [1]}")x"},
      {"sprintf", R"(["%5d|%-5d|%05d|%+d|%x|%#X",[42,42,-42,1,255,255]])",
       R"("   42|42   |-0042|+1|ff|0XFF")"},
      {"sprintf", R"(["%.2f %g %v %e",[3.14159,0.5,1e30,12345.5]])",
       R"("3.14 0.5 1000000000000000000000000000000 1.234550e+04")"},
      {"sprintf", R"(["%q %.1s %6s|%-4s|",["a\"b","xyz","ab","ab"]])",
       R"x("\"a\\\"b\" x     ab|ab  |")x"},
      {"sprintf", R"(["%s",[1208925819614629174706175]])", R"("1208925819614629174706175")"},
      {"sprintf", R"(["%s",[1]])", R"x("%!s(int=1)")x"},
      {"sprintf", R"(["%d",["a"]])", R"x("%!d(string=a)")x"},
      {"sprintf", R"(["%d %d",[1]])", R"x("1 %!d(MISSING)")x"},
      {"sprintf", R"(["x",[1,"a"]])", R"x("x%!(EXTRA int=1, string=a)")x"},
      {"sprintf", R"(["100%%%",[]])", R"x("100%%!(NOVERB)")x"},
  };
  expect(cases);
  EXPECT_EQ(call("sprintf", R"(["%999999999d",[1]])").size(), 10002U);
}

TEST_F(BuiltinsTest, Texts) {
  const Case cases[] = {
      {"lower", R"(["ÄÖÜ ABC ΣΩ ЖЯ Ő"])", R"("äöü abc σω жя ő")"},
      {"upper", R"(["äöü abc жя"])", R"("ÄÖÜ ABC ЖЯ")"},
      {"indexof_n", R"(["aaa","aa"])", "[0,1]"},
      {"indexof_n", R"(["a",""])", "!empty search"},
      {"format_int", "[-255,16]", R"("-ff")"},
      {"format_int", "[1,7]", "!operand 2 must be one of {2, 8, 10, 16}"},
      {"strings.replace_n", R"([{"a":"b","b":"a"},"abab"])", R"("baba")"},
      {"strings.replace_n", R"([{"":"-"},"ab"])", R"("-a-b-")"},
      {"strings.split_n", R"(["a.b.c",".",-2])", R"(["b","c"])"},
      {"strings.count", R"(["aaaa","aa"])", "2"},
      {"strings.any_prefix_match", R"([["ab","cd"],["c"]])", "true"},
      {"uri.parse", R"(["https://u:p@h:1/a%2Fb?q#f"])",
       R"({"fragment":"f","hostname":"h","password":"p","path":"/a/b","port":"1",)"
       R"("raw_path":"/a%2Fb","raw_query":"q","scheme":"https","username":"u"})"},
      {"uri.is_valid", R"(["http://[::1"])", "false"},
      {"uri.is_valid", R"(["http://[fe80::1%25e%250]/"])", "true"},
      {"uri.is_valid", R"(["http://[fe80::1%41]/"])", "false"},
      {"abs", "[-9223372036854775808]", "9223372036854775808"},
      {"round", "[2.5]", "3"},
      {"ceil", "[-0.5]", "0"},
      {"numbers.range", "[3,1]", "[3,2,1]"},
      {"numbers.range", "[0,99999999999]", "!at most"},
      {"walk", R"([{"a":[1]}])", R"([[[],{"a":[1]}],[["a"],[1]],[["a",0],1]])"},
  };
  expect(cases);
}

TEST_F(BuiltinsTest, JsonSchemas) {
  const char* kSchema = R"({"type":"object","required":["a"],"properties":{"a":{"type":"integer",)"
                        R"("minimum":2},"b":{"$ref":"#/definitions/s"}},"additionalProperties":)"
                        R"(false,"definitions":{"s":{"type":"string","pattern":"^x"}}})";
  const auto fits = [&](const std::string& document) {
    return call("json.match_schema", ("[" + document + "," + kSchema + "]").c_str())
        .starts_with("[true");
  };
  EXPECT_TRUE(fits(R"({"a":2,"b":"xy"})"));
  EXPECT_FALSE(fits(R"({"a":1})"));
  EXPECT_FALSE(fits(R"({"a":2.5})"));
  EXPECT_FALSE(fits(R"({"a":2,"b":"y"})"));
  EXPECT_FALSE(fits(R"({"a":2,"c":1})"));
  EXPECT_FALSE(fits(R"({})"));
  EXPECT_EQ(call("json.verify_schema", R"([{"type":"boolean"}])"), "[true,null]");
  EXPECT_NE(call("json.match_schema", R"([{},{"$ref":"#"}])").find("too large"), std::string::npos);
}

TEST_F(BuiltinsTest, GraphQl) {
  const Case cases[] = {
      {"graphql.parse_query", R"(["{ a(x: [1, $v]) }"])",
       R"({"Operations":[{"Name":"","Operation":"query","SelectionSet":[{"Alias":"a","Arguments":)"
       R"([{"Name":"x","Value":{"Children":[{"Name":"","Value":{"ExpectedTypeHasDefault":false,)"
       R"("Kind":1,"Raw":"1"}},{"Name":"","Value":{"ExpectedTypeHasDefault":false,"Kind":0,)"
       R"("Raw":"v"}}],"ExpectedTypeHasDefault":false,"Kind":8,"Raw":""}}],"Name":"a"}]}]})"},
      {"graphql.parse_query", R"(["{"])", "!Expected Name, found <EOF>"},
      {"graphql.parse_schema", R"(["type A {}"])", "!expected at least one definition, found }"},
      {"graphql.schema_is_valid", R"(["type A { b: B }"])", "false"},
      {"graphql.is_valid", R"(["{ a { b } }","type Query { a: Int }"])", "false"},
      {"graphql.is_valid", R"(["{ a b: a }","type Query { a: Int }"])", "true"},
      {"graphql.is_valid", R"(["{ a: b a }","type Query { a: Int b: Int }"])", "false"},
      {"graphql.is_valid", R"(["{ ...F } fragment F on Query { ...F }","type Query { a: Int }"])",
       "false"},
      {"graphql.is_valid", R"(["query($v: Int) { a(x: $v) }","type Query { a(x: Int!): Int }"])",
       "false"},
  };
  expect(cases);
  const std::string deep = "[\"" + std::string(5000, '{') + "\"]";
  EXPECT_EQ(call("graphql.parse_query", deep.c_str()).find('!'), 0U);
}

TEST_F(BuiltinsTest, Graphs) {
  const Case cases[] = {
      {"graph.reachable", R"([{"a":["b"],"b":["c"]},["a"]])", R"(["a","b"])"},
      {"graph.reachable_paths", R"([{"a":["b","x"],"b":["a"]},["a"]])", R"([["a"],["a","b"]])"},
      {"graph.reachable", R"([1,["a"]])", "!operand 1 must be object"},
  };
  expect(cases);
}

}  // namespace
}  // namespace coffer::policy
