#include "tee/sev-snp/cert_table.h"

#include "tests/tee/sev-snp/vectors.h"

namespace coffer::snp {
namespace {

CertTableEntry entry(CertKind kind, std::size_t size = 3) {
  return {.kind = kind, .guid = cert_guid(kind), .data = Bytes(size, 7)};
}

void put_u32(Bytes& table, std::size_t at, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) table[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
}

TEST(CertTable, IsReadAsItWasWritten) {
  const auto table =
      parse_cert_table(encode_cert_table({entry(CertKind::kVcek), entry(CertKind::kAsk, 5000)}));
  ASSERT_TRUE(table) << table.error().to_string();
  ASSERT_EQ(table->size(), 2U);
  EXPECT_EQ((*table)[0].kind, CertKind::kVcek);
  EXPECT_EQ((*table)[1].data, Bytes(5000, 7));
}

TEST(CertTable, EmptyAndAllZeroTablesHoldNothing) {
  EXPECT_TRUE(parse_cert_table({})->empty());
  EXPECT_TRUE(parse_cert_table(Bytes(4096))->empty());
}

TEST(CertTable, RefusesBoundsThatLie) {
  const Bytes good = encode_cert_table({entry(CertKind::kVcek), entry(CertKind::kAsk)});
  const auto refused = [&](std::size_t at, std::uint32_t value) {
    Bytes bad = good;
    put_u32(bad, at, value);
    return !parse_cert_table(bad);
  };
  EXPECT_TRUE(refused(16, 0xFFFFFFFF)) << "offset past the end";
  EXPECT_TRUE(refused(20, 0xFFFFFFFF)) << "offset + length wraps 32 bits";
  EXPECT_TRUE(refused(20, 4096 - 72 + 1)) << "one past the end";
  EXPECT_TRUE(refused(16, 0)) << "data over the entries";
  EXPECT_TRUE(refused(16, 71)) << "data over the terminator";
  EXPECT_TRUE(refused(40, 72)) << "data of two entries overlaps";
  EXPECT_TRUE(refused(64, 1)) << "terminator with an offset";
  EXPECT_FALSE(parse_cert_table(Bytes(good.begin(), good.begin() + 48))) << "no terminator";
  EXPECT_FALSE(parse_cert_table(Bytes(good.begin(), good.begin() + 30))) << "cut within an entry";
}

TEST(CertTable, RefusesAKnownGuidThatStandsTwice) {
  EXPECT_FALSE(
      parse_cert_table(encode_cert_table({entry(CertKind::kVcek), entry(CertKind::kVcek)})));
}

TEST(CertTable, KeepsWithinItsLimits) {
  std::vector<CertTableEntry> entries;
  for (unsigned i = 0; i < 64; ++i) {
    entries.push_back({.guid = Bytes(16, static_cast<std::uint8_t>(i + 1)), .data = {1}});
  }
  EXPECT_EQ(parse_cert_table(encode_cert_table(entries))->size(), 64U);
  entries.push_back({.guid = Bytes(16, 0xEE), .data = {1}});
  EXPECT_FALSE(parse_cert_table(encode_cert_table(entries)));
  EXPECT_FALSE(parse_cert_table(Bytes((std::size_t{1} << 20U) + 1)));
}

TEST_F(Vectors, CertificateTablesGiveTheirVerdict) {
  const auto milan = parse_cert_table(load("certtable/milan_vcek_ask_ark.bin"));
  ASSERT_TRUE(milan);
  const auto bundle = certificates_of(*milan);
  ASSERT_TRUE(bundle) << bundle.error().to_string();
  ASSERT_EQ(bundle->certificates.size(), 3U);
  EXPECT_EQ(bundle->certificates[0].subject().common_name(), "SEV-VCEK");
  const auto vlek = parse_cert_table(load("certtable/vlek_asvk_ark_unknown.bin"));
  ASSERT_TRUE(vlek);
  EXPECT_EQ(certificates_of(*vlek)->certificates.size(), 3U);
  EXPECT_TRUE(parse_cert_table(load("certtable/empty.bin"))->empty());
  EXPECT_FALSE(parse_cert_table(load("certtable/bad_offset_wrap.bin")));
  EXPECT_FALSE(parse_cert_table(load("certtable/bad_duplicate_vcek.bin")));
}

}  // namespace
}  // namespace coffer::snp
