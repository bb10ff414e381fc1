#include "attestation/reference_values/message.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coffer::rv {
namespace {

constexpr tee::UnixTime kNow = 1'700'000'000;

Result<std::vector<ReferenceValue>> parse(std::string_view text) {
  return parse_message(to_bytes(text), {.now = kNow, .registrar = "alice"});
}

std::string rvps(std::string_view type, std::string_view payload,
                 std::string_view version = "0.1.0") {
  return nlohmann::json{
      {"version", version}, {"type", type}, {"payload", to_base64(to_bytes(payload))}}
      .dump();
}

TEST(ReferenceValueMessage, ReadsTrusteesSampleForm) {
  const auto values = parse(rvps("sample", R"({"svn": ["1", "2"], "major": 1})"));
  ASSERT_TRUE(values) << values.error().to_string();
  ASSERT_EQ(values->size(), 2U);
  EXPECT_EQ(values->at(0).name, "major");
  EXPECT_EQ(values->at(0).value, "1");
  EXPECT_EQ(values->at(1).value, R"(["1","2"])");
  EXPECT_EQ(values->at(1).provenance.format, "sample");
  EXPECT_EQ(values->at(1).provenance.registrar, "alice");
  EXPECT_EQ(values->at(1).provenance.digest.size(), 64U);
  EXPECT_EQ(values->at(1).not_before, kNow);
  EXPECT_EQ(values->at(1).expires, kNow + kDefaultValidity);
}

TEST(ReferenceValueMessage, ReadsAListWithValidityAndSource) {
  const auto values = parse(R"([{"name": "vendor:ACME/x y", "value": true, "source": "image 7",
      "not_before": "2026-01-01T00:00:00Z", "expiration": "2027-01-01T00:00:00Z"}])");
  ASSERT_TRUE(values) << values.error().to_string();
  const auto& value = values->front();
  EXPECT_EQ(value.name, "vendor:ACME/x y");
  EXPECT_EQ(value.provenance.source, "image 7");
  EXPECT_EQ(validity_at(value, value.not_before - 1), Validity::kNotYet);
  EXPECT_EQ(validity_at(value, value.not_before), Validity::kValid);
  EXPECT_EQ(validity_at(value, value.expires - 1), Validity::kValid);
  EXPECT_EQ(validity_at(value, value.expires), Validity::kExpired);
}

TEST(ReferenceValueMessage, AValueSurvivesBeingStored) {
  const auto values = parse(R"({"a": {"b": [1, 18446744073709551615, "x"]}})");
  ASSERT_TRUE(values);
  const auto again = from_json(to_json(values->front()));
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->value, R"({"b":[1,18446744073709551615,"x"]})");
  EXPECT_EQ(again->provenance.digest, values->front().provenance.digest);
  EXPECT_EQ(again->expires, values->front().expires);
}

TEST(ReferenceValueMessage, RefusesWithTheCause) {
  struct Case {
    std::string text;
    std::string_view want;
  };
  const Case cases[] = {
      {"", "reference values"},
      {"7", "want an object or an array"},
      {"{}", "there is none"},
      {"[]", "there is none"},
      {R"({"a": 1, "a": 2})", "reference values"},
      {R"({"": 1})", "name reference value"},
      {R"({"a\n": 1})", "control characters"},
      {R"({"a": null})", "'a' is null"},
      {R"([{"name": "a"}])", "want {"},
      {R"([{"name": "a", "value": 1, "expires": "x"}])", "unknown member 'expires'"},
      {R"([{"name": "a", "value": 1}, {"name": "a", "value": 2}])", "entry 1"},
      {R"([{"name": "a", "value": 1, "expiration": "soon"}])", "'expiration'"},
      {R"([{"name": "a", "value": 1, "expiration": "2001-01-01T00:00:00Z"}])", "expires before"},
      {R"([{"name": 5, "value": 1}])", "'name' is no string"},
      {rvps("sample", "{}", "0.2.0"), "version: want 0.1.0"},
      {rvps("sample", "[1]"), "want an object"},
      {rvps("swid", "x"), "type 'swid' is not supported"},
      {R"({"version": "0.1.0", "type": "sample", "payload": "%"})", "payload"},
      {R"({"version": 1, "type": "sample", "payload": ""})", "'version' is no string"},
  };
  for (const Case& c : cases) {
    const auto got = parse(c.text);
    ASSERT_FALSE(got) << c.text;
    EXPECT_NE(got.error().to_string().find(c.want), std::string::npos) << c.text << "\n"
                                                                       << got.error().to_string();
  }
}

}  // namespace
}  // namespace coffer::rv
