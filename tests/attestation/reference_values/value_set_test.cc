#include "attestation/reference_values/value_set.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/attestation/store/scratch_store.h"

namespace coffer::rv {
namespace {

using Names = std::vector<std::string>;

ReferenceValue value(std::string name, std::string json) {
  return {.name = std::move(name),
          .value = std::move(json),
          .not_before = 0,
          .expires = 1000,
          .provenance = {.format = "json",
                         .source = "",
                         .digest = "",
                         .signer = "",
                         .registrar = "",
                         .registered = 0}};
}

class ValueSetTest : public ::testing::Test {
 protected:
  std::string present(ValueSet& set, std::string_view name) {
    auto snapshot = set.current();
    EXPECT_TRUE(snapshot) << snapshot.error().to_string();
    const auto at = (*snapshot)->values.find(name);
    return at == (*snapshot)->values.end() ? "(absent)" : at->second.value;
  }

  const testing::ScratchStore store_;
  ValueSet::Author author_{.name = "alice", .time = 50};
};

TEST_F(ValueSetTest, EveryChangeIsARevisionThatCanBeComparedAndBroughtBack) {
  ValueSet set(*store_);
  EXPECT_EQ((*set.current())->revision, 0U);
  EXPECT_EQ(*set.set({value("a", "1"), value("b", "2")}, author_), 1U);
  EXPECT_EQ(*set.set({value("a", "3"), value("c", "4")}, author_), 2U);
  EXPECT_EQ(*set.remove({"b"}, author_), 3U);
  EXPECT_EQ(present(set, "a"), "3");
  EXPECT_EQ(present(set, "b"), "(absent)");
  const auto changes = difference(*set.at(1), *set.at(3));
  EXPECT_EQ(changes.added, Names{"c"});
  EXPECT_EQ(changes.removed, Names{"b"});
  EXPECT_EQ(changes.changed, Names{"a"});
  EXPECT_EQ(*set.roll_back(1, author_), 4U);
  EXPECT_EQ(present(set, "a"), "1");
  EXPECT_EQ(present(set, "c"), "(absent)");
  const auto history = *set.history();
  ASSERT_EQ(history.size(), 4U);
  EXPECT_EQ(history.front().change, "roll back to 1");
  EXPECT_EQ(history.front().by, "alice");
  EXPECT_EQ(history.back().values, 2U);
}

TEST_F(ValueSetTest, ExpiringEndsValidityAndNeverProlongsIt) {
  ValueSet set(*store_);
  ASSERT_TRUE(set.set({value("a", "1"), value("b", "1")}, author_));
  ASSERT_TRUE(set.expire({"a"}, 500, author_));
  ASSERT_TRUE(set.expire({"b"}, 2000, author_));
  const auto snapshot = *set.current();
  EXPECT_EQ(snapshot->values.find("a")->second.expires, 500);
  EXPECT_EQ(snapshot->values.find("b")->second.expires, 1000);
}

TEST_F(ValueSetTest, WhatNamesNothingChangesNothing) {
  ValueSet set(*store_);
  ASSERT_TRUE(set.set({value("a", "1")}, author_));
  EXPECT_EQ(set.remove({"a", "x"}, author_).error().code(), Code::kNotFound);
  EXPECT_EQ(set.expire({"x"}, 1, author_).error().code(), Code::kNotFound);
  EXPECT_EQ(set.roll_back(9, author_).error().code(), Code::kNotFound);
  EXPECT_EQ((*set.current())->revision, 1U);
  EXPECT_EQ(present(set, "a"), "1");
}

TEST_F(ValueSetTest, AnotherServersChangeIsSeen) {
  ValueSet here(*store_);
  ValueSet there(*store_);
  ASSERT_TRUE(here.set({value("a", "1")}, author_));
  EXPECT_EQ(present(there, "a"), "1");
  ASSERT_TRUE(there.set({value("a", "2")}, author_));
  EXPECT_EQ(present(here, "a"), "2");
  EXPECT_EQ(*here.current(), *here.current()) << "an unchanged revision is read once";
}

TEST_F(ValueSetTest, ChangesAtTheSameTimeAreAllKept) {
  ValueSet set(*store_);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 5; ++k) {
        auto done = set.set({value("v" + std::to_string(i * 10 + k), "1")}, author_);
        EXPECT_TRUE(done) << done.error().to_string();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ((*set.current())->values.size(), 20U);
  EXPECT_EQ((*set.current())->revision, 20U);
}

TEST_F(ValueSetTest, KeepsTheLastRevisionsOnly) {
  ValueSet set(*store_);
  for (std::size_t i = 0; i < kKeptRevisions + 3; ++i) {
    ASSERT_TRUE(set.set({value("a", std::to_string(i))}, author_));
  }
  EXPECT_EQ(set.history()->size(), kKeptRevisions);
  EXPECT_FALSE(set.at(3));
  EXPECT_TRUE(set.at(4));
}

}  // namespace
}  // namespace coffer::rv
