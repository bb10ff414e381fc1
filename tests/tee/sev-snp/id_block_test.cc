#include "tee/sev-snp/id_block.h"

#include <algorithm>

#include "tests/tee/sev-snp/vectors.h"

namespace coffer::snp {
namespace {

tee::PrivateKey key() { return *tee::PrivateKey::generate_ec(tee::Curve::kP384); }

IdBlock sample() {
  IdBlock block;
  block.launch_digest.fill(0xAB);
  block.guest_svn = 7;
  return block;
}

TEST(IdBlock, IsReadAsItWasWritten) {
  const auto block = parse_id_block(encode_id_block(sample()));
  ASSERT_TRUE(block);
  EXPECT_EQ(block->launch_digest, sample().launch_digest);
  EXPECT_EQ(block->guest_svn, 7U);
  EXPECT_EQ(block->policy.raw, 0x30000U);
  EXPECT_FALSE(parse_id_block(Bytes(95)));
  EXPECT_FALSE(parse_id_block(Bytes(97)));
  EXPECT_FALSE(parse_id_block(Bytes(96))) << "version 0";
}

TEST(IdBlock, SignedByBothKeysChecks) {
  const auto id = key();
  const auto author = key();
  const auto auth = make_id_auth(sample(), id, &author);
  ASSERT_TRUE(auth);
  const auto verdict = check_id_block(encode_id_block(sample()), *auth);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_EQ(verdict.claims()["id_key_digest"], to_hex(*id_key_digest(id.public_key())));
  EXPECT_EQ(verdict.claims()["author_key_digest"], to_hex(*id_key_digest(author.public_key())));
}

TEST(IdBlock, WithoutAnAuthorKeyChecksAndSaysSo) {
  const auto auth = make_id_auth(sample(), key(), nullptr);
  const auto verdict = check_id_block(encode_id_block(sample()), *auth);
  EXPECT_TRUE(verdict.verified()) << verdict.to_table();
  EXPECT_EQ(verdict.find("id_auth.id_key_signature")->found, "no author key");
}

TEST(IdBlock, EveryByteOfBothStructuresIsVouchedFor) {
  const auto author = key();
  const auto auth = *make_id_auth(sample(), key(), &author);
  const auto block = encode_id_block(sample());
  for (std::size_t at = 0; at < block.size(); ++at) {
    auto flipped = block;
    flipped[at] ^= 1U;
    EXPECT_FALSE(check_id_block(flipped, auth).verified()) << at;
  }
  // Every 29th: the keys' padding and the reserved parts are alike.
  for (std::size_t at = 0; at < auth.size(); at += 29) {
    auto flipped = auth;
    flipped[at] ^= 1U;
    EXPECT_FALSE(check_id_block(block, flipped).verified()) << at;
  }
}

TEST(IdBlock, RefusesKeysOnOtherCurves) {
  EXPECT_FALSE(make_id_auth(sample(), *tee::PrivateKey::generate_ec(tee::Curve::kP256), nullptr));
}

TEST_F(Vectors, IdBlockVectorsCheckAndAreMadeAgain) {
  const nlohmann::json expected = load_json("idblock/virtee.json");
  const auto id = tee::PrivateKey::from_pem(as_text(load("idblock/virtee_id_key.pem")));
  const auto author = tee::PrivateKey::from_pem(as_text(load("idblock/virtee_author_key.pem")));
  ASSERT_TRUE(id && author);
  EXPECT_EQ(to_hex(*encode_id_public_key(id->public_key())),
            expected["id_pubkey_0x404"].get<std::string>());
  EXPECT_EQ(to_hex(*encode_id_public_key(author->public_key())),
            expected["author_pubkey_0x404"].get<std::string>());

  IdBlock block;
  const Bytes digest = *from_hex(expected["launch_digest"].get<std::string>());
  std::copy(digest.begin(), digest.end(), block.launch_digest.begin());
  EXPECT_EQ(to_hex(encode_id_block(block)), expected["id_block"].get<std::string>());
  EXPECT_EQ(to_hex(load("idblock/virtee_id_block.bin")), expected["id_block"].get<std::string>());
  for (const auto* file :
       {"idblock/virtee_id_auth.bin", "idblock/virtee_auth_block_published.bin"}) {
    const auto verdict = check_id_block(load("idblock/virtee_id_block.bin"), load(file));
    EXPECT_TRUE(verdict.verified()) << file << "\n" << verdict.to_table();
    EXPECT_EQ(verdict.claims()["id_key_digest"], expected["id_key_digest"]);
    EXPECT_EQ(verdict.claims()["author_key_digest"], expected["author_key_digest"]);
    EXPECT_EQ(verdict.claims()["policy"], expected["policy"]);
  }
}

}  // namespace
}  // namespace coffer::snp
