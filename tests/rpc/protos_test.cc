#include <gtest/gtest.h>

#include "rpc/protos/agent.pb.h"
#include "rpc/protos/attestation_agent.pb.h"
#include "rpc/protos/bootstrap.pb.h"
#include "rpc/protos/confidential_data_hub.pb.h"
#include "rpc/protos/events.pb.h"
#include "rpc/protos/health.pb.h"
#include "rpc/protos/task.pb.h"

namespace coffer {
namespace {

// The policy input is made from these names, so their case is part of the contract.
TEST(AgentProto, KeepsTheOddNames) {
  const auto* create = grpc::CreateContainerRequest::descriptor();
  EXPECT_EQ(create->FindFieldByNumber(6)->name(), "OCI");
  EXPECT_EQ(grpc::Spec::descriptor()->FindFieldByNumber(1)->name(), "Version");
  EXPECT_EQ(types::Interface::descriptor()->FindFieldByNumber(3)->name(), "IPAddresses");
  EXPECT_EQ(grpc::AddSwapRequest::descriptor()->FindFieldByNumber(1)->name(), "PCIPath");
  EXPECT_EQ(grpc::Process::descriptor()->FindFieldByNumber(11)->name(), "OOMScoreAdj");
  EXPECT_EQ(grpc::LinuxSyscall::descriptor()->FindFieldByNumber(3)->containing_oneof()->name(),
            "ErrnoRet");
}

TEST(AgentProto, HasEveryMethodOfTheService) {
  const auto* service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName("grpc.AgentService");
  ASSERT_NE(service, nullptr);
  EXPECT_EQ(service->method_count(), 42);
  EXPECT_EQ(service->FindMethodByName("CopyFile")->input_type()->full_name(),
            "grpc.CopyFileRequest");
}

TEST(AgentProto, LeavesTheUnusedNumbersOut) {
  EXPECT_EQ(grpc::ReseedRandomDevRequest::descriptor()->FindFieldByNumber(1), nullptr);
  EXPECT_EQ(grpc::FSGroup::descriptor()->FindFieldByNumber(1), nullptr);
}

TEST(ContainerdProto, HasTheFullNamesThatTravelInAny) {
  EXPECT_EQ(containerd::events::TaskExit::descriptor()->full_name(), "containerd.events.TaskExit");
  EXPECT_EQ(containerd::task::v2::StateResponse::descriptor()->FindFieldByNumber(4)->name(),
            "status");
}

// These are without descriptors: bytes by hand instead.
TEST(GuestApiProto, HasTheNumbersOfTheTable) {
  attestation_agent::ExtendRuntimeMeasurementRequest extend;
  EXPECT_EQ(extend.GetTypeName(), "attestation_agent.ExtendRuntimeMeasurementRequest");
  extend.set_domain("x");
  extend.set_operation("y");
  extend.set_content("z");
  extend.set_registerindex(8);
  EXPECT_EQ(extend.SerializeAsString(), "\x0a\x01x\x12\x01y\x1a\x01z\x20\x08");
  EXPECT_EQ(attestation_agent::NOT_SUPPORTED, 1);
  EXPECT_EQ(attestation_agent::NOT_ENABLED, 2);
  api::GetResourceRequest get;
  get.set_resourcepath("r");
  EXPECT_EQ(get.SerializeAsString(), "\x0a\x01r");
}

// Bytes by hand: field 1 "id", field 6 uint32 300.
TEST(ContainerdProto, WritesTheBytesOfTheTable) {
  containerd::events::TaskCreate event;
  event.set_container_id("id");
  event.set_pid(300);
  EXPECT_EQ(event.SerializeAsString(), std::string("\x0a\x02id\x30\xac\x02", 7));
}

}  // namespace
}  // namespace coffer
