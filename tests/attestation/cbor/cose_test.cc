#include "attestation/cbor/cose.h"

#include <gtest/gtest.h>

namespace coffer::cbor {
namespace {

using jose::KeyType;
using jose::PrivateKey;

Bytes content_type() {
  Writer out;
  out.number(kHeaderContentType).text("text/plain");
  return out.out();
}

Result<Sign1> read(BytesView bytes) {
  COFFER_TRY(const Value value, parse(bytes, "test"));
  check(value.is_tag(kSign1Tag), "the tag of COSE_Sign1");
  return parse_sign1(value.items.front());
}

TEST(Cose, SignsAndVerifiesWithBothCurves) {
  for (const auto& [type, alg] : {std::pair(KeyType::kEcP256, 6U), {KeyType::kEcP384, 34U}}) {
    const auto key = *PrivateKey::generate(type);
    const auto bytes = make_sign1(key, content_type(), 1, to_bytes("payload"));
    ASSERT_TRUE(bytes);
    const auto message = read(*bytes);
    ASSERT_TRUE(message) << message.error().to_string();
    EXPECT_EQ(as_text(message->payload), "payload");
    EXPECT_EQ(message->header.find(kHeaderAlg)->number, alg);
    EXPECT_EQ(message->header.find(kHeaderContentType)->text(), "text/plain");
    EXPECT_TRUE(verify_sign1(*message, key.public_key()));
    const auto other = *PrivateKey::generate(type);
    EXPECT_EQ(verify_sign1(*message, other.public_key()).error().code(), Code::kUnauthenticated);
  }
  EXPECT_FALSE(make_sign1(*PrivateKey::generate(KeyType::kRsa), {}, 0, {}));
}

TEST(Cose, TheAlgorithmIsTheKeysAndNotTheMessages) {
  const auto key = *PrivateKey::generate(KeyType::kEcP256);
  const auto message = read(*make_sign1(key, content_type(), 1, to_bytes("payload")));
  const auto large = *PrivateKey::generate(KeyType::kEcP384);
  const auto status = verify_sign1(*message, large.public_key());
  ASSERT_FALSE(status);
  EXPECT_NE(status.error().message().find("algorithm"), std::string::npos);
}

TEST(Cose, AnyChangedByteIsNoticed) {
  const auto key = *PrivateKey::generate(KeyType::kEcP256);
  const Bytes good = *make_sign1(key, content_type(), 1, to_bytes("payload"));
  for (std::size_t i = 1; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1U;
    const auto value = parse(bad, "test");
    if (!value || !value->is_tag(kSign1Tag)) continue;
    const auto message = parse_sign1(value->items.front());
    EXPECT_FALSE(message && verify_sign1(*message, key.public_key())) << i;
  }
}

TEST(Cose, RefusesOtherForms) {
  const auto refused = [](const Writer& writer) {
    const auto message = parse_sign1(*parse(writer.out(), "test"));
    EXPECT_FALSE(message);
    return message ? std::string() : message.error().message();
  };
  const Bytes header = *from_hex("a10126");
  EXPECT_NE(refused(Writer().array(3).bytes(header).map(0).bytes({})).find("four"),
            std::string::npos);
  EXPECT_NE(refused(Writer().array(4).bytes(header).map(1).number(1).number(-7).bytes({}).bytes({}))
                .find("not protected"),
            std::string::npos);
  EXPECT_NE(refused(Writer().array(4).bytes(*from_hex("a201260280")).map(0).bytes({}).bytes({}))
                .find("critical"),
            std::string::npos);
  EXPECT_NE(refused(Writer().array(4).bytes(Bytes{0x80}).map(0).bytes({}).bytes({})).find("no map"),
            std::string::npos);
  EXPECT_NE(refused(Writer().array(4).bytes(header).map(0).array(0).bytes({})).find("payload"),
            std::string::npos);
}

}  // namespace
}  // namespace coffer::cbor
