#include "tee/verdict.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace coffer::tee {
namespace {

TEST(Verdict, WithoutChecksVerifiesNothing) { EXPECT_FALSE(Verdict("snp").verified()); }

TEST(Verdict, OneFailedCheckDecidesAndIsListed) {
  Verdict verdict("snp");
  EXPECT_TRUE(verdict.add_equal("a", "1", "1", "spec"));
  EXPECT_TRUE(verdict.verified());
  EXPECT_FALSE(verdict.add_equal("b", "1", "2", "spec"));
  EXPECT_FALSE(verdict.add("c", false, "x", "y", "spec"));
  EXPECT_FALSE(verdict.verified());
  ASSERT_EQ(verdict.failed().size(), 2U);
  EXPECT_EQ(verdict.find("b")->found, "2");
  EXPECT_EQ(verdict.find("d"), nullptr);
}

TEST(Verdict, AWaivedCheckIsVisible) {
  Verdict verdict("snp");
  verdict.add_waived("debug", "set", "--allow-debug");
  EXPECT_TRUE(verdict.verified());
  EXPECT_EQ(verdict.to_json()["checks"][0]["expected"], "any (waived)");
  EXPECT_EQ(verdict.to_json()["checks"][0]["source"], "--allow-debug");
}

TEST(Verdict, SerialisesAsTheContractSays) {
  Verdict verdict("tdx");
  verdict.add("a", false, "1", "2", "spec");
  verdict.claims()["mr_td"] = "00";
  verdict.set_emulated(true);
  EXPECT_EQ(verdict.to_json().dump(),
            R"({"checks":[{"expected":"1","found":"2","name":"a","ok":false,"source":"spec"}],)"
            R"("claims":{"mr_td":"00"},"emulated":true,"tee":"tdx","verified":false})");
}

TEST(Verdict, CopiesAreIndependent) {
  Verdict a("snp");
  a.add_equal("a", "1", "1", "spec");
  Verdict b = a;
  b.claims()["x"] = 1;
  EXPECT_TRUE(a.claims().empty());
  a = b;
  EXPECT_EQ(a.claims()["x"], 1);
}

TEST(Verdict, TableNamesFailuresWithBothSides) {
  Verdict verdict("snp");
  verdict.add("policy.debug", false, "off", "on", "ABI 1.3");
  const std::string table = verdict.to_table();
  EXPECT_NE(table.find("FAIL  policy.debug  want off, got on  [ABI 1.3]"), std::string::npos);
  EXPECT_NE(table.find("NOT verified: 1 of 1"), std::string::npos);
}

}  // namespace
}  // namespace coffer::tee
