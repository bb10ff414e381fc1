#include "base/bytes.h"

#include <gtest/gtest.h>

namespace coffer {
namespace {

TEST(Hex, RoundTrips) {
  const Bytes bytes = {0x00, 0x7f, 0x80, 0xff};
  EXPECT_EQ(to_hex(bytes), "007f80ff");
  EXPECT_EQ(from_hex("007F80fF"), bytes);
}

TEST(Hex, RefusesOddLengthAndForeignCharactersByOffset) {
  EXPECT_EQ(from_hex("abc").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(from_hex("abxg").error().message(), "decode hex: foreign character at offset 2");
}

// RFC 4648 section 10.
TEST(Base64, EncodesTheRfcVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    EXPECT_EQ(from_base64(encoded), to_bytes(plain));
  }
}

TEST(Base64, RefusesWhatIsNotCanonical) {
  EXPECT_FALSE(from_base64("Zg"));       // padding missing
  EXPECT_FALSE(from_base64("Zh=="));     // trailing bits set
  EXPECT_FALSE(from_base64("Z==="));     // lone character
  EXPECT_FALSE(from_base64("Zm9v\n"));   // white space
  EXPECT_FALSE(from_base64url("Zg=="));  // padding in the URL form
  EXPECT_FALSE(from_base64("-_8="));     // the other alphabet
}

TEST(Base64, UrlFormUsesItsAlphabet) {
  const Bytes bytes = {0xfb, 0xff};
  EXPECT_EQ(to_base64url(bytes), "-_8");
  EXPECT_EQ(from_base64url("-_8"), bytes);
}

TEST(Base64, OfAnyLengthIsReadBackAndAForeignCharacterIsNamed) {
  Bytes bytes;
  for (unsigned size = 0; size < 70; ++size) {
    const std::string standard = to_base64(bytes);
    const std::string url = to_base64url(bytes);
    EXPECT_EQ(standard.size(), (size + 2) / 3 * 4);
    EXPECT_EQ(url.size(), (size * 4 + 2) / 3);
    EXPECT_EQ(from_base64(standard), bytes);
    EXPECT_EQ(from_base64url(url), bytes);
    for (std::size_t at = 0; at < url.size(); ++at) {
      std::string damaged = url;
      damaged[at] = '\xc3';
      const auto read = from_base64url(damaged);
      ASSERT_FALSE(read);
      EXPECT_NE(read.error().message().find("offset " + std::to_string(at)), std::string::npos);
    }
    bytes.push_back(static_cast<std::uint8_t>(size * 151 + 77));
  }
}

TEST(ConstantTime, ComparesContentAndLength) {
  EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("ab")));
}

}  // namespace
}  // namespace coffer
