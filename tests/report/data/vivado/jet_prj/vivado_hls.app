<AutoPilot:project xmlns:AutoPilot="com.autoesl.autopilot.project" projectType="C/C++" name="jet_prj" top="jet">
    <files>
        <file name="firmware/jet.cpp" sc="0" tb="false" cflags="-std=c++0x"/>
    </files>
    <solutions>
        <solution name="solution1" status=""/>
    </solutions>
</AutoPilot:project>
