// Reference values as CoRIM: ours to the byte, others' by Trustee's names, signatures and times.

#include "attestation/reference_values/corim.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "attestation/jose/jwk.h"
#include "attestation/reference_values/message.h"

namespace coffer::rv {
namespace {

using Json = nlohmann::json;
using jose::KeyType;
using jose::PrivateKey;

constexpr tee::UnixTime kNow = 1'800'000'000;
constexpr tee::UnixTime kNotBefore = 1'700'000'000;
constexpr tee::UnixTime kNotAfter = 1'900'000'000;

// Both made by another encoder, from the draft's CDDL.
constexpr std::string_view kForeign =
    "d901f4d901f5a40050000102030405060708090a0b0c0d0e0f0182d901f941a0d901fa590132a400"
    "62656e01a20050000102030405060708090a0b0c0d0e0f01000281a3006441434d4501d820746874"
    "7470733a2f2f61636d652e6578616d706c6502810004a2008182a100a300d8255031fb5abf023e49"
    "92aa4e95f9c1503bfa016441434d45026a526f616452756e6e657282a200d8255031fb5abf023e49"
    "92aa4e95f9c1503bfa01a200a10063312e30028282015820aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa82075830bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbba2000301a304d90230420102"
    "0b647061727408625331018182a100a1016441434d4581a101a1028182015820cccccccccccccccc"
    "cccccccccccccccccccccccccccccccccccccccccccccccc0381d820617804a101c11a713fb300";
constexpr std::string_view kOurs =
    "d901f5a30067696d61676520310181d901fa58c4a201a10067696d616765203104a1008182a100a2"
    "0166436f6666657202707265666572656e63652076616c75657385a200656d725f746401a1028182"
    "075830aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaa2006e736e705f626f6f746c6f6164657201a101d9022803a2006e736e"
    "705f626f6f746c6f6164657201a101d9022804a200647866616d01a104d9023048e7020600000000"
    "00a200617a01a10b674e6f742068657804a200c11a6553f10001c11a713fb300";

Json our_values() {
  return {{"mr_td", std::string(96, 'a')},
          {"snp_bootloader", {3, 4}},
          {"xfam", {"e702060000000000"}},
          {"z", "Not hex"}};
}

CorimContent content() {
  return {.id = "image 1", .not_before = kNotBefore, .not_after = kNotAfter};
}

Result<std::vector<ReferenceValue>> read(BytesView bytes, Signers signers = {},
                                         tee::UnixTime now = kNow) {
  return parse_message(bytes, {.now = now, .registrar = "alice", .signers = std::move(signers)});
}

Signers signers_of(const PrivateKey& key, bool required = false) {
  return {.keys = {key.public_key()}, .required = required};
}

std::map<std::string, std::string> by_name(const std::vector<ReferenceValue>& values) {
  std::map<std::string, std::string> out;
  for (const auto& value : values) out[value.name] = value.value;
  return out;
}

TEST(Corim, WritesWhatAnotherEncoderWrites) {
  const auto bytes = write_corim(our_values(), content(), nullptr);
  ASSERT_TRUE(bytes) << bytes.error().to_string();
  EXPECT_EQ(to_hex(*bytes), kOurs);
}

TEST(Corim, ReadsOursByTheirNames) {
  const auto values = read(*from_hex(kOurs));
  ASSERT_TRUE(values) << values.error().to_string();
  const std::map<std::string, std::string> want = {{"mr_td", "[\"" + std::string(96, 'a') + "\"]"},
                                                   {"snp_bootloader", "[3,4]"},
                                                   {"xfam", R"(["e702060000000000"])"},
                                                   {"z", R"(["Not hex"])"}};
  EXPECT_EQ(by_name(*values), want);
  const auto& first = values->front();
  EXPECT_EQ(first.not_before, kNotBefore);
  EXPECT_EQ(first.expires, kNotAfter + 1);
  EXPECT_EQ(first.provenance.format, "corim");
  EXPECT_EQ(first.provenance.source, "image 1");
  EXPECT_EQ(first.provenance.signer, "");
  EXPECT_EQ(first.provenance.registrar, "alice");
}

TEST(Corim, ReadsOthersByTrusteesNames) {
  const auto values = read(*from_hex(kForeign));
  ASSERT_TRUE(values) << values.error().to_string();
  const std::string a(64, 'a');
  const std::string b(96, 'b');
  const std::map<std::string, std::string> want = {
      {"ACME/RoadRunner/31fb5abf-023e-4992-aa4e-95f9c1503bfa/digests", Json::array({a, b}).dump()},
      {"ACME/RoadRunner/claim3/part/S1/raw_bytes", R"("0102")"}};
  EXPECT_EQ(by_name(*values), want);
  EXPECT_EQ(values->front().provenance.source, "00010203-0405-0607-0809-0a0b0c0d0e0f");
  EXPECT_EQ(values->front().not_before, kNow);
}

TEST(Corim, ComesAsAMessageOfTrusteesToo) {
  const Json message = {
      {"version", "0.1.0"}, {"type", "corim"}, {"payload", to_base64(*from_hex(kOurs))}};
  const auto values = read(as_bytes(message.dump()));
  ASSERT_TRUE(values) << values.error().to_string();
  EXPECT_EQ(values->size(), 4U);
}

TEST(Corim, KeepsWhoseSignatureWasVerified) {
  for (const auto type : {KeyType::kEcP256, KeyType::kEcP384}) {
    const auto key = *PrivateKey::generate(type);
    const auto other = *PrivateKey::generate(type);
    const Bytes bytes = *write_corim(our_values(), content(), &key);
    Signers both = signers_of(other, true);
    both.keys.push_back(key.public_key());
    const auto values = read(bytes, both);
    ASSERT_TRUE(values) << values.error().to_string();
    EXPECT_EQ(values->front().provenance.signer, *jose::jwk_thumbprint(key.public_key()));
    EXPECT_EQ(read(bytes, signers_of(other)).error().code(), Code::kUnauthenticated);
    EXPECT_EQ(read(bytes).error().code(), Code::kUnauthenticated) << "nobody is trusted";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      Bytes bad = bytes;
      bad[i] ^= 1U;
      EXPECT_FALSE(read(bad, both)) << i;
    }
  }
  const auto rsa = *PrivateKey::generate(KeyType::kRsa);
  EXPECT_FALSE(write_corim(our_values(), content(), &rsa));
}

TEST(Corim, WhereASignatureIsRequiredNothingElseIsTaken) {
  const auto key = *PrivateKey::generate(KeyType::kEcP256);
  const Json message = {{"version", "0.1.0"}, {"type", "sample"}, {"payload", "eyJhIjogMX0="}};
  for (const auto& bytes : {*from_hex(kOurs), to_bytes(R"({"a": 1})"),
                            to_bytes(R"([{"name": "a", "value": 1}])"), to_bytes(message.dump())}) {
    EXPECT_TRUE(read(bytes, signers_of(key, false)));
    const auto got = read(bytes, signers_of(key, true));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().code(), Code::kUnauthenticated);
    EXPECT_NE(got.error().message().find("require_signature"), std::string::npos);
  }
}

TEST(Corim, ItsTimesAreEnforced) {
  const auto key = *PrivateKey::generate(KeyType::kEcP256);
  const Bytes bytes = *write_corim(our_values(), content(), &key);
  const auto at = [&](tee::UnixTime now) { return read(bytes, signers_of(key), now); };
  EXPECT_TRUE(at(kNotBefore));
  EXPECT_TRUE(at(kNotAfter));
  EXPECT_EQ(at(kNotAfter + 1).error().code(), Code::kFailedPrecondition);
  EXPECT_NE(at(kNotBefore - 1).error().message().find("signature is not valid yet"),
            std::string::npos);
  const auto early = read(*from_hex(kOurs), {}, kNotBefore - 1);
  ASSERT_TRUE(early) << "an unsigned one may be for later";
  EXPECT_EQ(validity_at(early->front(), kNotBefore - 1), Validity::kNotYet);
}

TEST(Corim, RefusesValuesWithoutAForm) {
  for (const Json& value : {Json(true), Json(-1), Json(1.5), Json(nullptr), Json::object()}) {
    const auto bytes = write_corim({{"name", value}}, content(), nullptr);
    ASSERT_FALSE(bytes) << value;
    EXPECT_NE(bytes.error().message().find("'name'"), std::string::npos);
  }
  EXPECT_FALSE(write_corim(Json::object(), content(), nullptr));
  EXPECT_FALSE(write_corim(Json::array({1}), content(), nullptr));
}

TEST(Corim, RefusesOtherCbor) {
  for (const auto* hex :
       {"d901f4a0", "d901f500", "d901f5a0", "d901f5a2006161018000", "d2a0", "d280",
        "d901f5a200616101a0", "d901f5a20061610181d901fa00", "d901f5a2006161018 1d901fa41a0"}) {
    std::string text(hex);
    std::erase(text, ' ');
    EXPECT_FALSE(read(*from_hex(text))) << hex;
  }
}

}  // namespace
}  // namespace coffer::rv
