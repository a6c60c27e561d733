<project xmlns="com.autoesl.autopilot.project" name="tiny_prj" top="tiny" projectType="C/C++">
    <solutions>
        <solution name="never_run" status=""/>
        <solution name="s1" status=""/>
    </solutions>
</project>
