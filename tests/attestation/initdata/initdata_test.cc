#include "attestation/initdata/initdata.h"

#include <gtest/gtest.h>

#include <string>

namespace coffer::initdata {
namespace {

std::string text(std::string_view algorithm = "sha256", std::string_view data = "a = 'b'") {
  return "version = \"0.1.0\"\nalgorithm = \"" + std::string(algorithm) + "\"\n[data]\n" +
         std::string(data) + "\n";
}

TEST(Initdata, GivesItsEntries) {
  const auto parsed = parse(text("sha384", "\"policy.rego\" = '''x'''\n\"aa.toml\" = \"y\""));
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->algorithm, Algorithm::kSha384);
  ASSERT_NE(parsed->entry(kPolicyEntry), nullptr);
  EXPECT_EQ(*parsed->entry(kPolicyEntry), "x");
  EXPECT_EQ(*parsed->entry(kAaEntry), "y");
  EXPECT_EQ(parsed->entry(kCdhEntry), nullptr);
}

TEST(Initdata, RefusesWhatItDoesNotKnowAndSaysWhat) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "'version' is missing"},
      {"version", "initdata:1"},
      {"[\x01", "initdata"},
      {"version='0.2.0'\nalgorithm='sha256'\n[data]", "version '0.2.0', want '0.1.0'"},
      {"version=1\nalgorithm='sha256'\n[data]", "'version' is no text"},
      {"version='0.1.0'\n[data]", "'algorithm' is missing"},
      {text("sha-256"), "algorithm 'sha-256', want sha256"},
      {text("sha1"), "algorithm 'sha1'"},
      {"version='0.1.0'\nalgorithm='sha256'\ndata=1", "table [data] is missing"},
      {"version='0.1.0'\nalgorithm='sha256'\nother=1\n[data]", "'other': no such key"},
      {text("sha256", "a = 1"), "'a': want a text"},
      {text("sha256", "a.b = 'x'"), "'a': want a text"},
      {text("sha256", "\"../x\" = 'x'"), "not a file name"},
      {text("sha256", "\"a/b\" = 'x'"), "not a file name"},
      {text("sha256", "\"\" = 'x'"), "not a file name"},
      {text("sha256", "a='1'\na='2'"), "initdata:5"},
  };
  for (const auto& [given, want] : cases) {
    const auto parsed = parse(given);
    ASSERT_FALSE(parsed) << given;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument) << given;
    EXPECT_NE(parsed.error().to_string().find(want), std::string::npos)
        << parsed.error().to_string() << "\nwants: " << want;
  }
}

TEST(Initdata, IsBoundedInSizeAndEntries) {
  std::string data;
  for (std::size_t i = 0; i < kMaxEntries; ++i) data += "e" + std::to_string(i) + " = ''\n";
  EXPECT_TRUE(parse(text("sha256", data)));
  EXPECT_FALSE(parse(text("sha256", data + "more = ''\n")));
  const auto large = parse(text() + std::string(kMaxText, '\n'));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), Code::kResourceExhausted);
}

// FIPS 180-4's example message.
TEST(Initdata, HashesTheTextByteForByte) {
  EXPECT_EQ(to_hex(digest(Algorithm::kSha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(digest(Algorithm::kSha384, "abc")).substr(0, 16), "cb00753f45a35e8b");
  EXPECT_EQ(digest(Algorithm::kSha512, "abc").size(), 64U);
  EXPECT_NE(digest(Algorithm::kSha256, "abc\n"), digest(Algorithm::kSha256, "abc"));
}

TEST(Initdata, FitsADigestIntoAField) {
  const Bytes digest{1, 2, 3};
  EXPECT_EQ(fit(digest, 2), (Bytes{1, 2}));
  EXPECT_EQ(fit(digest, 3), digest);
  EXPECT_EQ(fit(digest, 5), (Bytes{1, 2, 3, 0, 0}));
}

TEST(Initdata, KnowsWhatEachTeesFieldMayHold) {
  const auto hexes = [](std::size_t size) {
    std::vector<std::string> out;
    for (const Bytes& value : bound_values(Bytes(size, 1))) out.push_back(to_hex(value));
    return out;
  };
  std::string ones;
  for (int i = 0; i < 64; ++i) ones += "01";
  // SHA-256 of 32 zeros and 32 times 1.
  const std::string pcr = to_hex(extended_pcr(Bytes(32, 1)));
  EXPECT_EQ(hexes(32),
            (std::vector{ones.substr(0, 64), ones.substr(0, 64) + std::string(32, '0'), pcr}));
  EXPECT_EQ(hexes(48), (std::vector{ones.substr(0, 64), ones.substr(0, 96), pcr}));
  EXPECT_EQ(hexes(64), (std::vector{ones.substr(0, 64), ones.substr(0, 96), pcr, ones}));
  EXPECT_EQ(to_hex(extended_pcr(Bytes(32))),
            "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b")
      << "SHA-256 of 64 zeros";
}

TEST(Initdata, PacksAndUnpacksAnAnnotation) {
  const std::string packed = pack(text());
  EXPECT_EQ(packed, pack(text()));
  const auto unpacked = unpack("\n " + packed + "\n");
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(*unpacked, text());
  for (const char* wrong : {"", "  ", "!!!", "QUJD"}) EXPECT_FALSE(unpack(wrong)) << wrong;
}

// gzip -n of "hello\n" by gzip(1), base64: another packer's bytes are as good.
TEST(Initdata, UnpacksWhatGzipPacked) {
  const auto unpacked = unpack("H4sIAAAAAAAAA8tIzcnJ5wIAIDA6NgYAAAA=");
  ASSERT_TRUE(unpacked) << unpacked.error().to_string();
  EXPECT_EQ(*unpacked, "hello\n");
}

}  // namespace
}  // namespace coffer::initdata
